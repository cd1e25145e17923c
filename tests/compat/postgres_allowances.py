"""The differences from postgres_exporter that we stand by, each with its reason: they go into docs/compat.md."""

from __future__ import annotations

from tests.compat.comparison import Aspect, allowed

OFF_BY_DEFAULT = (
    "database_wraparound",
    "long_running_transactions",
    "postmaster",
    "stat_checkpointer",
    "stat_statements",
)
"""Collectors that postgres_exporter has to be told to run, and that always run here."""

ALLOWANCES = (
    allowed(
        "dbwatch_compat_series_dropped_total",
        "Ours: what the caps on series left out of the page.",
        Aspect.EXTRA,
    ),
    allowed(
        "pg_replication_lag",
        "The name of pg_replication_lag_seconds before 0.13, which published rules still ask for.",
        Aspect.EXTRA,
    ),
    allowed(
        "pg_replication_slots_*",
        "The names since 0.20; the older ones are there as well.",
        Aspect.EXTRA,
    ),
    allowed(
        "pg_stat_user_tables_size_bytes",
        "The name before 0.18, which had one number for the table with its indexes.",
        Aspect.EXTRA,
    ),
    allowed(
        "pg_stat_bgwriter_*",
        "From PostgreSQL 17 on the exporter drops the numbers that moved; they are read where they went.",
        Aspect.EXTRA,
    ),
    allowed(
        "pg_stat_archiver_last_archive_age",
        "The exporter says NaN while nothing was archived; here the series is absent until something was.",
        Aspect.MISSING,
    ),
    allowed(
        "pg_exporter_last_scrape_duration_seconds",
        "Nothing is read when somebody scrapes; this is what the last runs of all collectors took.",
        Aspect.VALUES,
    ),
    allowed(
        "pg_exporter_scrapes_total",
        "Runs of the collector that runs most often, whoever scrapes.",
        Aspect.VALUES,
    ),
    allowed(
        "pg_scrape_collector_duration_seconds",
        "What our run of the collector took; collectors are listed that have no such name there.",
        Aspect.VALUES,
        Aspect.MORE,
    ),
    allowed(
        "pg_scrape_collector_success",
        "Collectors are listed that have no such name there.",
        Aspect.MORE,
    ),
    allowed(
        "pg_locks_count",
        "The exporter counts the locks of its own query; ours are left out.",
        Aspect.VALUES,
        slack=8,
    ),
    allowed(
        "pg_stat_database_numbackends",
        "Whoever looks has a session of its own.",
        Aspect.VALUES,
        slack=4,
    ),
    allowed(
        "pg_long_running_transactions",
        "Whoever looks may have a transaction open.",
        Aspect.VALUES,
        slack=3,
    ),
    allowed(
        "pg_settings_extra_float_digits",
        "Set by the client library of the exporter for its own session; here it is the server's.",
        Aspect.VALUES,
    ),
    allowed(
        "pg_stat_replication_*",
        "The exporter's slot_name is a pid, a new series at every reconnect; here it is the name of the slot.",
        Aspect.FEWER,
        Aspect.MORE,
        Aspect.LABELS,
    ),
    allowed(
        "pg_database_wraparound_*",
        "The exporter leaves out the databases that take nobody, and they age as well.",
        Aspect.MORE,
    ),
    allowed(
        "pg_stat_statements_*",
        "The exporter leaves out the tenth of the statements that took least; here are the 100 that took longest.",
        Aspect.MORE,
    ),
    allowed(
        "pg_stat_progress_vacuum_*_dead_tuples",
        "From PostgreSQL 17 on the exporter shows bytes as numbers of rows; here are rows, or nothing.",
        Aspect.VALUES,
        Aspect.MISSING,
    ),
    allowed(
        "pg_replication_lag_seconds",
        "A standby whose receiver is gone is not caught up, whatever it has replayed; the exporter says 0.",
        Aspect.VALUES,
    ),
)
