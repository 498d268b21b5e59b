"""Hypergradients of any leader from arrays of transitions, in NumPy or PyTorch."""
