"""Days that vary as a whole, and leaders that set prices by their forecast."""
