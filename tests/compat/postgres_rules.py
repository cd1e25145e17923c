"""What rules and dashboards made for postgres_exporter ask, in our own words. `JOB` stands for the page asked.

Each has an answer on every server, or (`PRIMARY_RULES`) on one that standbys follow.
"""

from __future__ import annotations

RULES = (
    "pg_up{JOB} == 1",
    "pg_exporter_last_scrape_error{JOB} == 0",
    "pg_scrape_collector_success{JOB} == 1",
    "sum by (server) (pg_stat_activity_count{JOB}) > 0",
    "sum by (server) (pg_stat_activity_count{JOB}) / min by (server) (pg_settings_max_connections{JOB}) < 0.8",
    "pg_settings_max_connections{JOB} - pg_settings_superuser_reserved_connections{JOB} > 0",
    'pg_stat_activity_count{JOB, state="idle in transaction"} >= 0',
    'pg_stat_activity_count{JOB, backend_type="client backend"} >= 1',
    'max by (server) (pg_stat_activity_max_tx_duration{JOB, datname!~"template.*"}) >= 0',
    "pg_replication_lag{JOB} < 3600",
    "pg_replication_lag_seconds{JOB} < 3600",
    "pg_replication_is_replica{JOB} >= 0",
    'pg_database_size_bytes{JOB, datname="postgres"} > 1e6',
    'rate(pg_stat_database_xact_commit{JOB, datname!~"template.*|^$"}[30s]) >= 0',
    "increase(pg_stat_database_deadlocks{JOB}[1m]) >= 0",
    "sum by (instance) (rate(pg_stat_database_xact_rollback{JOB}[1m])) >= 0",
    "pg_stat_database_blks_hit{JOB} / (pg_stat_database_blks_hit{JOB} + pg_stat_database_blks_read{JOB}) > 0.5",
    "rate(pg_stat_database_conflicts{JOB}[1m]) == 0",
    "rate(pg_stat_database_conflicts_confl_deadlock{JOB}[1m]) == 0",
    "pg_stat_bgwriter_checkpoints_timed_total{JOB} + pg_stat_bgwriter_checkpoints_req_total{JOB} >= 0",
    "rate(pg_stat_bgwriter_buffers_alloc_total{JOB}[1m]) >= 0",
    "sum by (instance) (pg_locks_count{JOB}) >= 0",
    "sum without (name) (pg_settings_max_locks_per_transaction{JOB} * pg_settings_max_connections{JOB}) > 0",
    'pg_stat_user_tables_n_dead_tup{JOB, relname="being_vacuumed"} >= 0',
    "time() - pg_stat_user_tables_last_autovacuum{JOB} > 0",
    "pg_stat_user_tables_last_autoanalyze{JOB} >= 0",
    "rate(pg_statio_user_tables_heap_blocks_hit{JOB}[1m]) >= 0",
    "topk(5, pg_stat_statements_seconds_total{JOB}) > 0",
    "rate(pg_stat_statements_calls_total{JOB}[1m]) >= 0",
    "time() - pg_postmaster_start_time_seconds{JOB} > 0",
    "pg_wal_size_bytes{JOB} > 0",
    "pg_stat_archiver_failed_count{JOB} == 0",
    "pg_settings_autovacuum_freeze_max_age{JOB} > 0",
    "pg_static{JOB} == 1",
)
PRIMARY_RULES = (
    "pg_replication_slots_active{JOB} == 0",
    "pg_replication_slots_pg_wal_lsn_diff{JOB} >= 0",
    "pg_replication_slot_slot_is_active{JOB} == 1",
    'pg_stat_replication_pg_wal_lsn_diff{JOB, application_name="replica"} >= 0',
)
