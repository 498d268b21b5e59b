"""The guided cart-pole on a grid: the follower's best response, J and its hypergradient."""
