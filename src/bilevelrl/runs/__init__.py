"""From params.yaml to trained runs: parameters, chunks, execution, records."""
