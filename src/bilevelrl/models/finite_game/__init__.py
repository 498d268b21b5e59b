"""Finite games in which the leader acts."""
