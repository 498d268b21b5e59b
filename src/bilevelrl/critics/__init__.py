"""How the leader values states."""
