"""Owns the first select of a guarded transaction: our limits, and what must be known before anything is asked. Pure.

One select and not a SET for each limit: pg_stat_statements leaves the values out of a query's identity, but keeps every
SET of another value as a statement of its own. It fixes the snapshot: from here on the transaction can no longer be
made read-write. Planning it costs the server as much as running it, so a session may keep it planned: what differs
from run to run are its parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dbwatch.deadline import Deadline

LOCK_TIMEOUT_MS: Final = 200
_LEAST_TIMEOUT_MS: Final = 100
_SERVERS_SHARE: Final = 0.95
"""The server ends a query a little before we would have to connect once more to have it cancelled."""
_LATER_MS: Final = 2000
_LIMITS: Final = {
    "lock_timeout": f"{LOCK_TIMEOUT_MS}ms",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "client_min_messages": "error",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
    "plan_cache_mode": "force_generic_plan",
}
_ROLE: Final = "pg_catalog.pg_is_in_recovery()"
_BACKEND: Final = "pg_catalog.pg_backend_pid()"
_POSITION: Final = """case
    when not pg_catalog.pg_is_in_recovery()
      then pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_flush_lsn(), '0/0')::pg_catalog.int8
  end"""
_HELD: Final = "pg_catalog.pg_has_role({privilege}::pg_catalog.name, 'usage')"


@dataclass(frozen=True, slots=True)
class Told:
    """What the server answers: its role, which backend it is, where a primary's log stands, whether a role is held.

    `flushed_lsn` and `is_privileged` are None where that was not asked, or there is nothing to tell.
    """

    in_recovery: bool
    backend_pid: int | None
    flushed_lsn: int | None
    is_privileged: bool | None


@dataclass(frozen=True, slots=True)
class Opening:
    """The select of one transaction. `limits` are those that must hold before all others."""

    limits: dict[str, str]
    server_version: int
    server_encoding: str | None
    with_position: bool
    privilege: str | None

    @classmethod
    def of(
        cls,
        deadline: Deadline,
        *,
        server_version: int,
        server_encoding: str | None,
        with_position: bool,
        privilege: str | None,
    ) -> Opening:
        """Time limits by what is left of the run."""
        milliseconds = max(_LEAST_TIMEOUT_MS, int(deadline.remaining * _SERVERS_SHARE * 1000))
        limits = {
            "statement_timeout": f"{milliseconds}ms",
            "idle_in_transaction_session_timeout": f"{milliseconds + _LATER_MS}ms",
        }
        return cls(limits, server_version, server_encoding, with_position, privilege)

    @property
    def values(self) -> tuple[str, ...]:
        """The parameters of `prepared`, as SQL literals."""
        values = (*self.limits.values(), *((self.privilege,) if self.privilege is not None else ()))
        return tuple(_literal(value) for value in values)

    @property
    def prepared(self) -> str:
        """The select with `$n` for its values: the same text for every run of the like."""
        return self._select(tuple(f"${position}" for position, _ in enumerate(self.values, start=1)))

    @property
    def plain(self) -> str:
        """The select as a text of its own."""
        return self._select(self.values)

    def read(self, row: Sequence[object] | None) -> Told:
        """The server's answer."""
        told = dict(zip(self._asked(""), row or (), strict=False))
        backend, position, held = told.get("backend"), told.get("position"), told.get("held")
        return Told(
            in_recovery=bool(told.get("role")),
            backend_pid=backend if isinstance(backend, int) else None,
            flushed_lsn=position if isinstance(position, int) else None,
            is_privileged=bool(held) if self.privilege is not None else None,
        )

    def _select(self, values: Sequence[str]) -> str:
        own = dict(zip(self.limits, values, strict=False))
        fixed = {name: _literal(value) for name, value in self._fixed().items()}
        settings = (f"pg_catalog.set_config('{name}', {value}, true)" for name, value in {**own, **fixed}.items())
        return f"select {', '.join((*self._asked(values[-1]).values(), *settings))}"

    def _asked(self, privilege: str) -> dict[str, str]:
        asked = {"role": _ROLE, "backend": _BACKEND}
        if self.with_position:
            asked["position"] = _POSITION
        if self.privilege is not None:
            asked["held"] = _HELD.format(privilege=privilege)
        return asked

    def _fixed(self) -> dict[str, str]:
        fixed = dict(_LIMITS)
        if self.server_encoding == "SQL_ASCII":
            fixed["client_encoding"] = "SQL_ASCII"
        if self.server_version >= 140_000:
            fixed["client_connection_check_interval"] = "1s"
        if self.server_version >= 170_000:
            fixed["transaction_timeout"] = "0"  # it would end the session, not the statement
        return fixed


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
