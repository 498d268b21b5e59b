"""How the leader differentiates the follower's answer."""
