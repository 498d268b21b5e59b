"""Drawing of tables that the pipeline wrote."""
