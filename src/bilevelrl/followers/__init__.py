"""How the follower answers."""
