"""Linear dynamics, quadratic rewards, Gaussian noise."""
