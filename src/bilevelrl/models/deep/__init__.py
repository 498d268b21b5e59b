"""Followers that are agents of Stable-Baselines3."""
