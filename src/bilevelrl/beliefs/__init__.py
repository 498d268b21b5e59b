"""What a leader that only watches believes about its follower, learned from observations."""
