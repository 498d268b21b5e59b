"""The guided cart-pole: wind helps a follower to balance."""
