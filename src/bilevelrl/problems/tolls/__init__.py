"""Road pricing: a planner's tolls on a network, and travellers who make each other's congestion."""
