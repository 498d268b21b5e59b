"""Home battery: a utility sets 24 prices, houses charge and discharge."""
