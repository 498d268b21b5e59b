"""Numbers, tables and claims of README.md and docs/, filled in from tracked results."""
