"""What is asked of every problem beside its learning curves."""
