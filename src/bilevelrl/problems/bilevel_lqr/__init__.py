"""BilevelLQR: two players steer one linear system."""
