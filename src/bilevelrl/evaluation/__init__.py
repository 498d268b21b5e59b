"""Statistics over tables that the pipeline wrote."""
