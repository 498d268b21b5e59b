"""Finite states and actions, θ in the rewards."""
