"""Owns the list of PostgreSQL probes: what a check file may name under `probe:` beside `connect`.

A probe is for logic that one query cannot express. It returns rows; columns, levels and words stay in the check file.
"""

from __future__ import annotations

from collections.abc import Mapping

from dbwatch.engines.postgres.probe import Probe
from dbwatch.engines.postgres.probes.archiver import archiver_failing
from dbwatch.engines.postgres.probes.authentication import broken_host_rule, md5_password, weak_host_rule
from dbwatch.engines.postgres.probes.autovacuum import autovacuum_saturated
from dbwatch.engines.postgres.probes.backup import backup_marker_old, backup_stale
from dbwatch.engines.postgres.probes.bloat import index_bloat, table_bloat, toast_bloat
from dbwatch.engines.postgres.probes.checkpoints import checkpoints_forced
from dbwatch.engines.postgres.probes.churn import queue_table_churn
from dbwatch.engines.postgres.probes.clock import clock_skewed
from dbwatch.engines.postgres.probes.corruption import corrupt_index, corrupt_table
from dbwatch.engines.postgres.probes.detail import cold_updates, index_cache_misses
from dbwatch.engines.postgres.probes.exporter_statements import exporter_statements
from dbwatch.engines.postgres.probes.growth import database_growth
from dbwatch.engines.postgres.probes.identity import cluster_replaced, role_changed, server_restarted
from dbwatch.engines.postgres.probes.integer_keys import integer_key_exhausted
from dbwatch.engines.postgres.probes.memory_settings import memory_setting
from dbwatch.engines.postgres.probes.overdue import vacuum_overdue
from dbwatch.engines.postgres.probes.redundancy import duplicate_index, redundant_index
from dbwatch.engines.postgres.probes.regressions import statement_regression
from dbwatch.engines.postgres.probes.replicas import replica_missing, synchronous_standby_missing
from dbwatch.engines.postgres.probes.replication import replica_lag, replication_lag
from dbwatch.engines.postgres.probes.selectivity import low_selectivity_index
from dbwatch.engines.postgres.probes.sequences import sequence_exhausted
from dbwatch.engines.postgres.probes.sessions import connection_limit_oversized, excess_active_sessions
from dbwatch.engines.postgres.probes.settings import setting_changed, standby_setting_lower
from dbwatch.engines.postgres.probes.slot_volume import slot_filling_volume
from dbwatch.engines.postgres.probes.slots import replication_slot, replication_slot_inactive
from dbwatch.engines.postgres.probes.split_brain import split_brain
from dbwatch.engines.postgres.probes.stale import statistics_stale
from dbwatch.engines.postgres.probes.statement_habits import count_for_existence, offset_pagination, select_star
from dbwatch.engines.postgres.probes.statements import (
    slow_statement,
    statement_evictions,
    statement_n_plus_one,
    statement_temp_writer,
)
from dbwatch.engines.postgres.probes.subscriptions import subscription_broken, subscription_table_stuck
from dbwatch.engines.postgres.probes.transport import listener_without_tls, session_without_tls
from dbwatch.engines.postgres.probes.unused import unused_index
from dbwatch.engines.postgres.probes.versions import version_outdated, version_unsupported
from dbwatch.engines.postgres.probes.wal import wal_rate_high
from dbwatch.engines.postgres.probes.wal_directory import wal_directory_large

PROBES: Mapping[str, Probe] = {
    "autovacuum_saturated": autovacuum_saturated,
    "archiver_failing": archiver_failing,
    "backup_marker_old": backup_marker_old,
    "backup_stale": backup_stale,
    "broken_host_rule": broken_host_rule,
    "clock_skewed": clock_skewed,
    "checkpoints_forced": checkpoints_forced,
    "cold_updates": cold_updates,
    "count_for_existence": count_for_existence,
    "cluster_replaced": cluster_replaced,
    "connection_limit_oversized": connection_limit_oversized,
    "corrupt_index": corrupt_index,
    "corrupt_table": corrupt_table,
    "duplicate_index": duplicate_index,
    "database_growth": database_growth,
    "excess_active_sessions": excess_active_sessions,
    "exporter_statements": exporter_statements,
    "index_bloat": index_bloat,
    "index_cache_misses": index_cache_misses,
    "integer_key_exhausted": integer_key_exhausted,
    "listener_without_tls": listener_without_tls,
    "low_selectivity_index": low_selectivity_index,
    "md5_password": md5_password,
    "memory_setting": memory_setting,
    "offset_pagination": offset_pagination,
    "queue_table_churn": queue_table_churn,
    "redundant_index": redundant_index,
    "replica_lag": replica_lag,
    "replica_missing": replica_missing,
    "replication_lag": replication_lag,
    "replication_slot": replication_slot,
    "replication_slot_inactive": replication_slot_inactive,
    "role_changed": role_changed,
    "select_star": select_star,
    "sequence_exhausted": sequence_exhausted,
    "server_restarted": server_restarted,
    "session_without_tls": session_without_tls,
    "setting_changed": setting_changed,
    "slot_filling_volume": slot_filling_volume,
    "slow_statement": slow_statement,
    "statement_evictions": statement_evictions,
    "statement_n_plus_one": statement_n_plus_one,
    "statement_regression": statement_regression,
    "statement_temp_writer": statement_temp_writer,
    "split_brain": split_brain,
    "standby_setting_lower": standby_setting_lower,
    "statistics_stale": statistics_stale,
    "subscription_broken": subscription_broken,
    "subscription_table_stuck": subscription_table_stuck,
    "synchronous_standby_missing": synchronous_standby_missing,
    "table_bloat": table_bloat,
    "toast_bloat": toast_bloat,
    "unused_index": unused_index,
    "vacuum_overdue": vacuum_overdue,
    "version_outdated": version_outdated,
    "version_unsupported": version_unsupported,
    "wal_directory_large": wal_directory_large,
    "wal_rate_high": wal_rate_high,
    "weak_host_rule": weak_host_rule,
}
