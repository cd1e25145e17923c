"""Owns what a dashboard opens with below its verdicts: health tiles, roles over time, tables over targets.

A tile or a cell names a check's column; a check that a catalogue lacks leaves its tile out. Refuses to know the
panels of the checks themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from dbwatch.catalogue import Catalogue, Check
from dbwatch.model import Engine
from dbwatch.render.boards import ACTIVITY, MAINTENANCE, POSTGRES, REPLICATION, panel_path
from dbwatch.render.grafana import Color, Kind, Link, Panel, Query, Row, Said, Step, TableColumn
from dbwatch.render.panels import CHOSEN, MATCHERS, cell_of, check_tile, level_colors, unit_for

_LINE: Final = 24


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of one check; `lowest` says that small is bad, `full` where a bar in a table's cell ends."""

    check: str
    column: str
    title: str
    lowest: bool = False
    full: float | None = None


_HEALTH: Final = (
    Tile("connections_saturated", "used_ratio", "Connections used"),
    Tile("blocked_session", "waiters", "Waiting for locks"),
    Tile("idle_in_transaction", "oldest_seconds", "Idle in transaction"),
    Tile("long_transaction", "age_seconds", "Oldest transaction"),
    Tile("replication_lag", "lag_seconds", "Replication lag"),
    Tile("replication_slot", "retained_bytes", "WAL kept by slots"),
    Tile("archiver_failing", "waiting_files", "WAL not archived"),
    Tile("wraparound_risk", "xid_ratio", "Transaction ids used"),
    Tile("vacuum_overdue", "past_ratio", "Vacuum overdue"),
    Tile("cache_hit_ratio", "hit_ratio", "Cache hit ratio", lowest=True),
    Tile("backup_stale", "age_seconds", "Backup age"),
    Tile("server_unreachable", "connect_seconds", "Connect"),
)
_ACTIVITY: Final = (
    Tile("blocked_session", "waiters", "Waiting for locks"),
    Tile("blocked_session", "longest_wait_seconds", "Longest wait"),
    Tile("idle_in_transaction", "oldest_seconds", "Idle in transaction"),
    Tile("long_query", "age_seconds", "Longest statement"),
    Tile("long_transaction", "age_seconds", "Oldest transaction"),
    Tile("lock_table_saturated", "used_ratio", "Lock table used"),
)
_REPLICATION: Final = (
    Tile("replication_lag", "lag_seconds", "Lag of standbys"),
    Tile("replica_lag", "replay_lag_bytes", "Not replayed yet"),
    Tile("replica_missing", "missing", "Replicas missing"),
    Tile("synchronous_standby_missing", "missing", "Synchronous missing"),
    Tile("replication_slot", "retained_bytes", "WAL kept by slots"),
    Tile("archiver_failing", "waiting_files", "WAL not archived"),
)
_TOPOLOGY: Final = (
    Tile("replication_lag", "lag_seconds", "lag"),
    Tile("replica_lag", "replay_lag_bytes", "worst replica"),
    Tile("replication_slot", "retained_bytes", "kept by slots"),
    Tile("wal_directory_large", "directory_bytes", "pg_wal"),
)
_MAINTENANCE: Final = (
    Tile("wraparound_risk", "xid_ratio", "Transaction ids used"),
    Tile("wraparound_risk", "multixact_ratio", "Multixact ids used"),
    Tile("xmin_horizon_held", "xmin_age", "Horizon held back"),
    Tile("vacuum_overdue", "past_ratio", "Vacuum overdue"),
    Tile("sequence_exhausted", "used_ratio", "Fullest sequence"),
    Tile("integer_key_exhausted", "used_ratio", "Fullest integer key"),
)
_REDIS: Final = (
    Tile("redis_memory_pressure", "used_ratio", "Memory used"),
    Tile("redis_clients_saturated", "used_ratio", "Clients used"),
    Tile("redis_hit_ratio", "hit_ratio", "Hit ratio", lowest=True),
    Tile("redis_replication_broken", "behind_bytes", "Replica behind"),
    Tile("redis_persistence_failing", "unsaved_changes", "Not in a snapshot"),
    Tile("redis_unreachable", "ping_seconds", "Round trip"),
)
_HOST: Final = (
    Tile("cpu_saturated", "used_ratio", "Cores in use"),
    Tile("load_high", "load_per_core", "Load for each core"),
    Tile("memory_short", "used_ratio", "Memory used"),
    Tile("swap_traffic", "read_rate", "Read back from swap"),
    Tile("volume_full", "used_ratio", "Fullest volume"),
    Tile("file_handles_exhausted", "used_ratio", "Open files"),
)
_PGBOUNCER: Final = (
    Tile("pgbouncer_clients_waiting", "waiting", "Clients waiting"),
    Tile("pgbouncer_clients_waiting", "longest_wait_seconds", "Longest wait"),
    Tile("pgbouncer_wait_time_high", "mean_wait_seconds", "Mean wait"),
    Tile("pgbouncer_pool_saturated", "used_ratio", "Fullest pool"),
    Tile("pgbouncer_clients_saturated", "used_ratio", "Clients used"),
    Tile("pgbouncer_pool_without_server", "stranded_seconds", "Without a server"),
    Tile("pgbouncer_database_paused", "paused", "Databases paused"),
    Tile("pgbouncer_unreachable", "query_seconds", "Round trip"),
)
FLEET_CELLS: Final = (
    Tile("connections_saturated", "used_ratio", "connections", full=1.0),
    Tile("long_transaction", "age_seconds", "oldest transaction"),
    Tile("replication_lag", "lag_seconds", "lag"),
    Tile("wraparound_risk", "xid_ratio", "transaction ids", full=1.0),
    Tile("backup_stale", "age_seconds", "backup age"),
    Tile("redis_memory_pressure", "used_ratio", "memory", full=1.0),
    Tile("redis_clients_saturated", "used_ratio", "clients", full=1.0),
    Tile("pgbouncer_clients_waiting", "longest_wait_seconds", "pooler wait"),
    Tile("cpu_saturated", "used_ratio", "cores", full=1.0),
    Tile("volume_full", "used_ratio", "fullest volume", full=1.0),
)


def _postgres(catalogue: Catalogue) -> Iterator[Row]:
    yield Row("Health", _tiles(catalogue, _HEALTH))


def _activity(catalogue: Catalogue) -> Iterator[Row]:
    yield Row("Now", _tiles(catalogue, _ACTIVITY))


def _replication(catalogue: Catalogue) -> Iterator[Row]:
    yield Row("Now", _tiles(catalogue, _REPLICATION))
    said = (Said(0, "primary", Color.BLUE), Said(1, "standby", Color.GREEN))
    yield Row("Roles", (*_roles(catalogue, "role_changed", "in_recovery", said), _topology(catalogue)))


def _maintenance(catalogue: Catalogue) -> Iterator[Row]:
    yield Row("Now", (*_tiles(catalogue, _MAINTENANCE), *_exhaustion(catalogue)))


def _redis(catalogue: Catalogue) -> Iterator[Row]:
    said = (Said(0, "primary", Color.BLUE), Said(1, "replica", Color.GREEN))
    roles = _roles(catalogue, "redis_replication_broken", "is_replica", said)
    yield Row("Health", (*_tiles(catalogue, _REDIS), *(replace(panel, width=_LINE, height=4) for panel in roles)))


def _host(catalogue: Catalogue) -> Iterator[Row]:
    yield Row("Health", _tiles(catalogue, _HOST))


def _pgbouncer(catalogue: Catalogue) -> Iterator[Row]:
    yield Row("Pooler", _tiles(catalogue, _PGBOUNCER))


OPENINGS: Final[Mapping[str, Callable[[Catalogue], Iterator[Row]]]] = {
    POSTGRES: _postgres,
    ACTIVITY: _activity,
    REPLICATION: _replication,
    MAINTENANCE: _maintenance,
    str(Engine.REDIS): _redis,
    str(Engine.PGBOUNCER): _pgbouncer,
    str(Engine.HOST): _host,
}


def table_over_targets(
    catalogue: Catalogue,
    panel: Panel,
    cells: tuple[Tile, ...],
) -> Panel:
    """`panel` with one query and one column more for each cell; a cell's click leads to its check's panel."""
    queries, columns = list(panel.queries), list(panel.columns)
    for tile in cells:
        check = _check(catalogue, tile)
        expr = cell_of(check, tile.column) if check is not None else None
        if check is None or expr is None:
            continue
        queries.append(Query(expr, instant=True, min_step_seconds=check.every))
        chosen = "${job:queryparam}&var-target=${__data.fields.target}&${__url_time_range}"
        columns.append(
            TableColumn(
                f"Value #{chr(ord('A') + len(queries) - 1)}",
                tile.title,
                unit_for(check, tile.column),
                steps=level_colors(check, tile.column),
                link=Link(f"Open {check.name}", panel_path(check, chosen)),
                full=tile.full,
            )
        )
    return replace(panel, queries=tuple(queries), columns=tuple(columns))


def _check(catalogue: Catalogue, tile: Tile) -> Check | None:
    named = (check for check in catalogue.named(tile.check) if check.panel is not None)
    return next((check for check in named if tile.column in check.language), None)


def _tiles(catalogue: Catalogue, wanted: tuple[Tile, ...]) -> tuple[Panel, ...]:
    made = (
        check_tile(check, tile.column, tile.title, lowest=tile.lowest)
        for tile in wanted
        if (check := _check(catalogue, tile)) is not None
    )
    return tuple(panel for panel in made if panel is not None)


def _roles(catalogue: Catalogue, name: str, column: str, said: tuple[Said, ...]) -> Iterator[Panel]:
    for check in catalogue.named(name):
        expr = cell_of(check, column)
        if expr is None:
            continue
        yield Panel(
            Kind.STATE_TIMELINE,
            "Role",
            "What each server was, over time. One primary at a time is right for the servers of one cluster; a gap is "
            "a time when the server did not answer.",
            (Query(expr, "{{target}}", min_step_seconds=check.every),),
            said=said,
            width=12,
        )


def _topology(catalogue: Catalogue) -> Panel:
    panel = Panel(
        Kind.TABLE,
        "Servers",
        "Role, version and what each server is behind or holds back. The lag is a standby's own; the worst replica is "
        "what a primary sees.",
        (Query(f'dbwatch_target_info{{{MATCHERS},engine="postgres"}}', instant=True),),
        width=12,
        columns=(TableColumn("target", "target"), TableColumn("role", "role"), TableColumn("version", "version")),
        hidden=("instance", "job", "engine", "flavour", "Value #A"),
        sort_by="role",
    )
    return table_over_targets(catalogue, panel, _TOPOLOGY)


_SOON: Final = (Step(Color.RED), Step(Color.ORANGE, 3 * 86400.0), Step(Color.GREEN, 14 * 86400.0))


def exhaustion(catalogue: Catalogue) -> Iterator[Panel]:
    """How long until something runs out at the present pace, soonest first."""
    wanted = (("xid_eta_seconds", "transaction ids"), ("multixact_eta_seconds", "multixact ids"))
    for check in catalogue.named("wraparound_risk"):
        left = [(cell_of(check, column, "min"), what) for column, what in wanted]
        yield Panel(
            Kind.BARGAUGE,
            "Soonest exhaustion",
            "Time until the server refuses writes, at the pace of the last six hours. Without a bar nothing grows. "
            "Vacuum sets it back, so only a short time that does not jump back is a worry.",
            tuple(
                Query(f"bottomk(5, {expr})", f"{{{{target}}}}: {what}", instant=True)
                for expr, what in left
                if expr is not None
            ),
            unit="s",
            steps=_SOON,
            width=12,
            height=8,
            links=(Link("Open the panel", panel_path(check, CHOSEN)),),
        )


def _exhaustion(catalogue: Catalogue) -> Iterator[Panel]:
    yield from (replace(panel, width=_LINE, height=5) for panel in exhaustion(catalogue))
