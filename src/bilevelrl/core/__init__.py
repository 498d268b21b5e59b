"""What every problem shares and none owns."""
