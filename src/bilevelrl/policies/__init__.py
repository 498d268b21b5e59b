"""Stochastic policies of a leader that acts itself."""
