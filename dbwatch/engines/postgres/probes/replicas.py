"""Owns the rows of synchronous_standby_missing and replica_missing: who should be connected and is. Judges nothing."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.replication.board import STANDBY_SECONDS, StandbyTold
from dbwatch.engines.postgres.replication.syncnames import parse_sync_names
from dbwatch.model import RawRow

_MOST_KNOWN = 200
_KNOWN_SECONDS = 86_400.0
_ANY_NAME = "*"
_LOOK = "SELECT application_name, state, sync_state, flush_lsn, replay_lsn FROM pg_stat_replication;"
_BRING_BACK = f"{_LOOK}  -- bring the absent standby back"
_STREAM_AND_WAIT = (
    f"{_LOOK}  -- they stream and are slow: to flush, or with synchronous_commit = remote_apply to replay"
    " (on the standby: SELECT pg_is_wal_replay_paused();)"
)

_SYNCHRONOUS = """
-- Privilege: pg_read_all_stats, for the senders' states and what other sessions wait for. Lock: none.
-- The server says itself who counts: sync (of FIRST), quorum (of ANY), potential (next in line).
with sender as materialized (
  select
    r.application_name,
    r.state,
    r.sync_state,
    r.sync_priority
  from pg_catalog.pg_stat_replication as r
),
waiter as materialized (
  select
    a.pid,
    coalesce(a.usename::text, a.backend_type) || coalesce(' in ' || a.datname::text, '') as who,
    -- A procedure commits many times in one statement: each of its transactions has a start of its own.
    extract(epoch from pg_catalog.clock_timestamp() - greatest(a.query_start, a.xact_start))::float8 as seconds
  from pg_catalog.pg_stat_activity as a
  where a.wait_event = 'SyncRep'
)
select
  pg_catalog.current_setting('synchronous_standby_names') as names,
  pg_catalog.current_setting('synchronous_commit') as synchronous_commit,
  array(
    select s.application_name
    from sender as s
    where s.state = 'streaming'
      and s.sync_state in ('sync', 'quorum')
  ) as in_step,
  array(
    select s.application_name
    from sender as s
    where s.sync_priority > 0
  ) as connected,
  (select count(*) from waiter) as waiting,
  w.seconds as longest_wait_seconds,
  w.pid,
  w.who
from (select) as one_row
left join waiter as w on true
order by
  w.seconds desc nulls last,
  w.pid
limit 1
"""

_CONNECTED = """
-- Privilege: pg_read_all_stats. Lock: none. Base backups, their log streams and a subscription's first copies are no
-- replicas. The timeline changes with every promotion, and with it who belongs to whom.
select
  ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int as timeline,
  r.application_name as name,
  min(s.slot_name)::text as slot,
  count(*) filter (where s.slot_type is distinct from 'logical') as standbys,
  extract(epoch from pg_catalog.clock_timestamp() - min(r.backend_start))::float8 as connected_seconds,
  array(select all_slots.slot_name::text from pg_catalog.pg_replication_slots as all_slots) as slots
from (select) as one_row
left join pg_catalog.pg_stat_replication as r
  on r.state in ('startup', 'catchup', 'streaming')
  and r.application_name !~ '^pg_[0-9]+_sync_[0-9]+|^pg_basebackup$'
  and not exists (
    select
    from pg_catalog.pg_replication_slots as b
    where b.active_pid = r.pid
      and b.temporary
      and b.slot_name ~ '^pg_basebackup_'
  )
left join pg_catalog.pg_replication_slots as s on s.active_pid = r.pid
group by r.application_name
order by r.application_name
"""


def synchronous_standby_missing(context: ProbeContext) -> Sequence[RawRow]:
    """One row when commits wait for standbys: how many they need and how many there are."""
    row = context.fetch(_SYNCHRONOUS, limit=1)[0]
    wanted = parse_sync_names(str(row["names"]))
    if wanted is None:
        return []
    in_step, connected = _texts(row["in_step"]), _texts(row["connected"])
    absent = wanted.absent(connected)
    missing = max(0, wanted.required - len(in_step))
    return [
        {
            "missing": missing,
            "required": wanted.required,
            "streaming": len(in_step),
            # Sessions may choose for themselves; this is what holds for those that do not.
            "commits_wait": 0 if row["synchronous_commit"] in ("off", "local") else 1,
            "waiting_sessions": row["waiting"],
            "longest_wait_seconds": row["longest_wait_seconds"] if row["waiting"] else 0,
            "absent": ", ".join(absent) if absent else "none of those named",
            "waiter": f"pid {row['pid']}, {row['who']}" if row["waiting"] else "no session",
            "remedy": _BRING_BACK if missing else _STREAM_AND_WAIT,
        }
    ]


@dataclass(slots=True)
class _Replica:
    """A replica that was connected once. Moments are on our monotonic clock."""

    seen: float
    connected_seconds: float
    slot: str | None


@dataclass(slots=True)
class KnownReplicas:
    """Who was connected in the last day, on one timeline."""

    timeline: int | None = None
    replicas: dict[str, _Replica] = field(default_factory=dict)

    def follow(self, timeline: int | None, now: float) -> None:
        """A promotion changes who belongs to whom; and what is gone for a day is gone."""
        if timeline != self.timeline:
            self.replicas.clear()
            self.timeline = timeline
        for name in [name for name, one in self.replicas.items() if now - one.seen > _KNOWN_SECONDS]:
            del self.replicas[name]

    def saw(self, name: str, replica: _Replica) -> None:
        self.replicas.pop(name, None)
        self.replicas[name] = replica
        while len(self.replicas) > _MOST_KNOWN:
            del self.replicas[next(iter(self.replicas))]


def replica_missing(context: ProbeContext) -> Sequence[RawRow]:
    """A row for each replica that is connected, was connected, or is to be, by the owner's word."""
    found = context.fetch(_CONNECTED, limit=1000)
    now = time.monotonic()
    known = context.memory.of(KnownReplicas)
    timeline = found[0]["timeline"]
    known.follow(timeline if isinstance(timeline, int) else None, now)
    connected = {str(row["name"]): row for row in found if row["name"] is not None}
    for name, row in connected.items():
        seconds, slot = row["connected_seconds"], row["slot"]
        age = seconds if isinstance(seconds, float) else 0.0
        known.saw(name, _Replica(now, age, str(slot) if slot is not None else None))
    _forget_moved(context, known, connected, _texts(found[0]["slots"]))
    return list(_rows(context, known, connected, now))[: context.check.limit]


def _forget_moved(
    context: ProbeContext, known: KnownReplicas, connected: Mapping[str, RawRow], slots: Sequence[str]
) -> None:
    """Some are not gone: taken out of service with their slot, streaming elsewhere, or connected by another name."""
    elsewhere: set[str] = set()
    if context.cluster is not None:
        told = context.cluster.told(StandbyTold, within_seconds=STANDBY_SECONDS).values()
        elsewhere = {one.value.application_name for one in told if one.value.receiver_up}
    taken_over = {row["slot"] for row in connected.values()}
    for name, one in list(known.replicas.items()):
        moved = one.slot is not None and (one.slot not in slots or one.slot in taken_over)
        if name not in connected and (name in elsewhere or moved):
            del known.replicas[name]


def _rows(context: ProbeContext, known: KnownReplicas, connected: Mapping[str, RawRow], now: float) -> Iterator[RawRow]:
    expect = context.target.expect
    told: set[str] = set()
    for pattern in expect.replicas:
        names = fnmatch.filter(connected, pattern)
        told.update(names)
        past = [one for name, one in known.replicas.items() if fnmatch.fnmatchcase(name, pattern)]
        last = max(past, key=lambda one: one.seen, default=None)
        yield _row(pattern, len(names), 1, expected=True, past=last, now=now)
    if expect.replica_count is not None and not expect.replicas:
        standbys = sum(int(str(row["standbys"])) for row in connected.values())
        yield _row(_ANY_NAME, standbys, expect.replica_count, expected=True, past=None, now=now)
        return
    for name, one in known.replicas.items():
        if name not in told and not any(fnmatch.fnmatchcase(name, pattern) for pattern in expect.replicas):
            yield _row(name, 1 if name in connected else 0, 1, expected=False, past=one, now=now)


def _row(replica: str, connected: int, wanted: int, *, expected: bool, past: _Replica | None, now: float) -> RawRow:
    missing = max(0, wanted - connected)
    return {
        "replica": replica,
        "missing": missing,
        "connected": connected,
        "wanted": wanted,
        "expected": 1 if expected else 0,
        "absent_seconds": 0 if not missing else None if past is None else now - past.seen,
        "connected_seconds": None if past is None else past.connected_seconds,
        "slot": past.slot if past is not None and past.slot is not None else "none",
    }


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else []
