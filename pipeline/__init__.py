"""One thin script per DVC stage, and `mlflow_sync`, which no stage depends on."""
