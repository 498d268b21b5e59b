"""The discrete toy: a game of three states."""
