"""Kinds of mathematics below a problem."""
