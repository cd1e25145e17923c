"""Owns the pools as the console tells them in several answers: clients, servers, sizes, pauses. Judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dbwatch.engines.pgbouncer.console import Cells, Shown, count, limit, number, text
from dbwatch.engines.pgbouncer.facts import settings_of
from dbwatch.engines.pgbouncer.fields import is_watched
from dbwatch.engines.pgbouncer.probe import ProbeContext, Rows
from dbwatch.errors import Skipped
from dbwatch.model import Reason

_POOLS: Final = (
    *("database", "user", "cl_waiting", "sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login"),
    *("maxwait", "maxwait_us"),
)
_DATABASES: Final = ("name", "pool_size", "reserve_pool_size", "paused", "disabled")
_USERS_TELL: Final = (1, 26)
"""Before, SHOW USERS gave a pool size to users that have none of their own."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool. `size` None has no limit; `servers` are connections that are logged in, whatever they do.

    `place` is the server it leads to, for people.
    """

    database: str
    role: str
    waiting: float
    longest_wait_seconds: float
    busy: float
    idle: float
    logging_in: float
    size: float | None
    reserve: float
    paused: bool
    place: str

    @property
    def servers(self) -> float:
        return self.busy + self.idle


def pools_of(context: ProbeContext) -> tuple[Pool, ...]:
    """The watched pools, those that make a client wait longest first."""
    shown = context.show("SHOW POOLS").having(*_POOLS)
    databases = databases_of(context)
    sizes = _sizes_of_users(context)
    stopped = all_paused(context)
    pools = [
        _pool(row, databases.get(text(row, "database"), {}), sizes.get(text(row, "user")), stopped=stopped)
        for row in shown.rows
        if is_watched(text(row, "database"), context.target)
    ]
    return tuple(sorted(pools, key=lambda pool: (-pool.longest_wait_seconds, -pool.busy, pool.database, pool.role)))


def databases_of(context: ProbeContext) -> Mapping[str, Cells]:
    """SHOW DATABASES by name, the watched ones."""
    shown = context.show("SHOW DATABASES").having(*_DATABASES)
    return {text(row, "name"): row for row in shown.rows if is_watched(text(row, "name"), context.target)}


def all_paused(context: ProbeContext) -> bool | None:
    """Whether PAUSE without a name, or SUSPEND, holds everything; None before 1.19, which does not tell."""
    try:
        state = {text(row, "key"): text(row, "value") for row in context.show("SHOW STATE").having("key", "value").rows}
    except Skipped as error:
        if error.reason is not Reason.VERSION:
            raise
        return None
    return "yes" in (state.get("paused"), state.get("suspended"))


def clients_waiting(context: ProbeContext) -> Rows:
    """A row a pool: how many clients wait, and for how long the first of them."""
    patience = limit(settings_of(context.show("SHOW CONFIG")), "query_wait_timeout")
    return tuple(
        {
            "database": pool.database,
            "role": pool.role,
            "waiting": pool.waiting,
            "longest_wait_seconds": pool.longest_wait_seconds,
            "servers": pool.servers,
            "patience_seconds": patience,
            "busy": pool.busy,
            "ends": f"after {patience:.0f} s they are turned away" if patience else "they wait without end",
        }
        for pool in pools_of(context)
    )


def pool_saturated(context: ProbeContext) -> Rows:
    """A row a pool: server connections that serve a client, of those it may have."""
    return tuple(
        {
            "database": pool.database,
            "role": pool.role,
            "busy": pool.busy,
            "size": pool.size,
            "reserve": pool.reserve,
            "idle": pool.idle,
            "waiting": pool.waiting,
        }
        for pool in pools_of(context)
    )


def _pool(row: Cells, database: Cells, users_size: float | None, *, stopped: bool | None) -> Pool:
    size = users_size if users_size is not None else number(database, "pool_size")
    return Pool(
        database=text(row, "database"),
        role=text(row, "user"),
        waiting=count(row, "cl_waiting"),
        longest_wait_seconds=count(row, "maxwait") + count(row, "maxwait_us") / 1e6,
        busy=count(row, "sv_active") + count(row, "sv_tested"),
        idle=count(row, "sv_idle") + count(row, "sv_used"),
        logging_in=count(row, "sv_login"),
        size=size or None,
        reserve=number(database, "reserve_pool_size") or 0.0,
        paused=bool(stopped or number(database, "paused")),
        place=_place(database),
    )


def _place(database: Cells) -> str:
    host = text(database, "host") or "a local socket"
    return f"{host}, port {text(database, 'port')}" if database else "its server"


def _sizes_of_users(context: ProbeContext) -> Mapping[str, float]:
    """The pool sizes that users have of their own, which go before those of databases."""
    if context.facts.version < _USERS_TELL:
        return {}
    shown: Shown = context.show("SHOW USERS")
    sizes = {text(row, "name"): number(row, "pool_size") for row in shown.rows}
    return {name: size for name, size in sizes.items() if size is not None}
