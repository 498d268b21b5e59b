"""MLflow as a view: it shows finished runs, no stage reads it, the files under DVC can rebuild it.

The only package that imports mlflow, and only when a `Tracker` is first used.
"""
