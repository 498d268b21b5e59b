"""A reproducible comparison of hypergradient estimators for bi-level reinforcement learning."""

__version__ = "0.1.0"
