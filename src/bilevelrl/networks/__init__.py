"""Small neural networks, one per run, as rows of one array."""
