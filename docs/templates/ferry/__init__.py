"""A ferry whose leader sets the fare of every crossing."""
