"""EscapeRoom: players who leave by a door that others must open, and a leader that pays those."""
