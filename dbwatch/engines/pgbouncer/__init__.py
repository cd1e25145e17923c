"""PgBouncer through its admin console: one held connection, SHOW and nothing else."""
