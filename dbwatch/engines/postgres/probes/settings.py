"""Owns following settings: what changed while we watched, and a standby's against its primary's. Judges nothing.

A value that may hold a secret is read to be compared, kept as a digest, and never shown.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dbwatch.engines.postgres.cluster import Cluster
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number, text
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

_MOST_SETTINGS = 3000
_MOST_CHANGED = 100
_LONGEST_SHOWN = 60
_SECRET = re.compile(r"passphrase|password|secret|token|command|conninfo|key|credential|ldap|radius|^ssl_")

_WHOLE_SECONDS = 600.0
"""All settings are read so often even while nothing says that one may have changed."""

_STATE = """
-- Needs no privilege. What a session holds of the settings comes from its start, the server's, and the last time that
-- this session read the files: where none of them moved, no setting did. A promotion may be the end of a switchover.
select
  pg_catalog.pg_backend_pid() as pid,
  pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) as started_at,
  pg_catalog.date_part('epoch', pg_catalog.pg_conf_load_time()) as loaded_at,
  pg_catalog.pg_is_in_recovery() as in_recovery
"""

_SETTINGS = """
-- Needs no privilege; pg_read_all_settings shows the rest. reset_val, because we set some of them for our transaction.
-- Without what changes by itself: the role, our own session, what is derived from others; and without what a session
-- keeps from its start, which differs between the sessions of a pooler.
select
  s.name,
  s.reset_val as value,
  s.unit,
  s.vartype
from pg_catalog.pg_settings as s
where s.context not in ('backend', 'superuser-backend')
  and s.name not in (
    'application_name',
    'client_encoding',
    'huge_pages_status',
    'in_hot_standby',
    'is_superuser',
    'num_os_semaphores',
    'role',
    'server_version_num',
    'session_authorization',
    'shared_memory_size',
    'shared_memory_size_in_huge_pages',
    'transaction_deferrable',
    'transaction_isolation',
    'transaction_read_only'
  )
"""


@dataclass(frozen=True, slots=True)
class _Value:
    """A setting as it was: `shown` is for people, `digest` for comparing."""

    shown: str | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Change:
    before: str | None
    after: str | None
    noticed: float
    times: int


@dataclass(slots=True)
class _Known:
    """The settings of the last look, and the latest change of each that changed since we watch.

    `state` is what the server's answer to `_STATE` was before the last time that all settings were read, `read_at`.
    """

    state: RawRow | None = None
    read_at: float = 0.0
    values: dict[str, _Value] = field(default_factory=dict)
    changes: dict[str, _Change] = field(default_factory=dict)


def setting_changed(context: ProbeContext) -> Sequence[RawRow]:
    """A row for every setting that changed while we watched, the latest change first."""
    known = context.memory.of(_Known)
    (state,) = context.fetch(_STATE, limit=1)
    now = time.monotonic()
    if state != known.state or now - known.read_at >= _WHOLE_SECONDS:
        _compare(known, context.fetch(_SETTINGS, limit=_MOST_SETTINGS), now)
        known.state, known.read_at = state, now
    return tuple(
        {
            "setting": name,
            "changes": change.times,
            "noticed_seconds": now - change.noticed,
            "told": "changed (its values are not shown)"
            if change.before is None or change.after is None
            else f"changed from {change.before} to {change.after}",
        }
        for name, change in known.changes.items()
    )


def _compare(known: _Known, rows: Sequence[RawRow], now: float) -> None:
    found = {str(row["name"]): _value(row) for row in rows}
    for name in sorted(found.keys() & known.values.keys()):
        old, new = known.values[name], found[name]
        if old.digest != new.digest:
            earlier = known.changes.get(name)
            times = earlier.times + 1 if earlier is not None else 1
            known.changes[name] = _Change(old.shown, new.shown, now, times)
    # One that is gone for a look (a library not loaded yet, a right taken away) is compared when it comes back.
    known.values.update(found)
    latest = sorted(known.changes.items(), key=lambda item: (-item[1].noticed, item[0]))
    known.changes = dict(latest[:_MOST_CHANGED])


def _value(row: RawRow) -> _Value:
    value = text(row["value"])
    digest = hashlib.blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return _Value(_shown(str(row["name"]), value, text(row["unit"]), str(row["vartype"])), digest)


def _shown(name: str, value: str | None, unit: str | None, vartype: str) -> str | None:
    """The value for people; None when it may hold a secret, as the text settings of extensions may."""
    if vartype == "string" and (_SECRET.search(name) or "." in name):
        return None
    if not value:
        return "empty"
    short = value if len(value) <= _LONGEST_SHOWN else value[: _LONGEST_SHOWN - 1] + "…"
    return f"{short} (unit {unit})" if unit is not None else short


# -- a standby and its primary ----------------------------------------------------------------------------------------

_LIMITS = """
-- Needs no privilege. One by one: the view makes a row of every setting there is first.
select
  s.name as setting,
  pg_catalog.current_setting(s.name)::float8 as value,
  pg_catalog.pg_is_in_recovery() as in_recovery
from (
  values
    ('max_connections'),
    ('max_locks_per_transaction'),
    ('max_prepared_transactions'),
    ('max_wal_senders'),
    ('max_worker_processes')
) as s (name)
order by
  s.name
"""


@dataclass(frozen=True, slots=True)
class PrimaryLimits:
    """The settings of a primary that must not be lower on its standbys."""

    values: Mapping[str, float]


def standby_setting_lower(context: ProbeContext) -> Sequence[RawRow]:
    """A row for each such setting: on a primary its own, which it tells; on a standby beside the primary's."""
    cluster = context.cluster
    if cluster is None:
        raise Skipped(Reason.PLATFORM, "the server does not tell its system identifier, so its cluster is not known")
    rows = context.fetch(_LIMITS, limit=10)
    found = {str(row["setting"]): number(row["value"]) or 0.0 for row in rows}
    if not any(row["in_recovery"] for row in rows):
        cluster.tell(context.target.name, PrimaryLimits(found))
        return tuple(
            {"setting": setting, "value": value, "primary_value": None, "primary": None}
            for setting, value in found.items()
        )
    name, primary = _primary_of(cluster, 3 * context.check.every)
    return tuple(
        {"setting": setting, "value": value, "primary_value": primary.values[setting], "primary": name}
        for setting, value in found.items()
        if setting in primary.values
    )


def _primary_of(cluster: Cluster, within_seconds: float) -> tuple[str, PrimaryLimits]:
    """The primary that told last. Raises Skipped when none is watched, or it may be another one's."""
    told = cluster.told(PrimaryLimits, within_seconds=within_seconds)
    if not told:
        raise Skipped(Reason.NO_BASELINE, "no primary of this cluster is watched, or it has not been looked at yet")
    name = max(told, key=lambda target: told[target].at)
    limits = told[name].value
    if any(other.value.values != limits.values for other in told.values()):
        # A restored copy has the same system identifier, and nothing here tells whose standby this is.
        raise Skipped(Reason.NO_BASELINE, f"several primaries of this cluster are watched: {', '.join(sorted(told))}")
    return name, limits
