"""What leader and follower face."""
