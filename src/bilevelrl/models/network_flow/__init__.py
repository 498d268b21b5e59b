"""Travellers on a congested road network, all soft-optimal, in equilibrium."""
