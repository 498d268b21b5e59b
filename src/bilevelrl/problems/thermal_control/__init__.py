"""Building thermal control: a leader designs walls and fans."""
