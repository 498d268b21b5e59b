"""From settings to what the training loop needs, one module per family of problems."""
