"""Owns the rows of replication_lag, seen from a standby, and of replica_lag, seen from who sends. Judges nothing.

Both tell the other nodes of their cluster what those cannot see: a primary its log positions, timeline and wall clock,
a standby its name, its delay and whether it is cut off.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from dbwatch.engines.postgres.cluster import Cluster
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.replication.board import (
    STANDBY_SECONDS,
    PrimaryTold,
    StandbyTold,
    Watched,
    known_delay,
    primary_of,
    upstream_of,
)
from dbwatch.engines.postgres.replication.lag import Lag, Look, lag_of
from dbwatch.engines.postgres.replication.standby import Received, Standby, look_at
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

_RESUME = "SELECT pg_wal_replay_resume();"
_RECEIVER = (
    "SELECT * FROM pg_stat_wal_receiver;"
    "  -- empty: the server log has the reason; check primary_conninfo and the primary"
)
_HOLDERS = (
    "SELECT pid, now() - xact_start AS open_for, left(query, 100) FROM pg_stat_activity"
    " WHERE backend_xmin IS NOT NULL ORDER BY xact_start;  -- queries that may hold replay back"
)

_SELF = """
-- Needs no privilege. Lock: none. A standby learns its timeline from its receiver, a primary from its own log's name.
select
  extract(epoch from pg_catalog.clock_timestamp())::float8 as now,
  case
    when not pg_catalog.pg_is_in_recovery()
      then ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int
  end as timeline
"""

_SENDERS = """
-- Privilege: pg_read_all_stats. Lock: none. A base backup, its log stream (known by its name or temporary slot) and the
-- first copies of a subscription's tables are walsenders too and are left out. Two senders of one name are one row.
-- pg_receivewal replays nothing: what it has written is its position. A standby sends on what it has received.
-- Of a position that a receiver never tells (pg_receivewal, pg_recvlogical) the server lets the time grow for ever.
-- Negative distances (a sender that was faster than this query) become 0 by `case`: greatest(null, 0) is 0.
with here as materialized (
  select
    case
      when pg_catalog.pg_is_in_recovery()
        then greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
      else pg_catalog.pg_current_wal_lsn()
    end as lsn
),
sender as (
  select
    r.application_name,
    r.state,
    r.sync_state,
    s.slot_type = 'logical' as logical,
    pg_catalog.pg_wal_lsn_diff(h.lsn, r.sent_lsn)::float8 as sent,
    pg_catalog.pg_wal_lsn_diff(h.lsn, r.write_lsn)::float8 as written,
    pg_catalog.pg_wal_lsn_diff(h.lsn, r.flush_lsn)::float8 as flushed,
    pg_catalog.pg_wal_lsn_diff(h.lsn, coalesce(r.replay_lsn, r.write_lsn))::float8 as replayed,
    extract(epoch from r.write_lag)::float8 as write_lag,
    case when r.flush_lsn is not null then extract(epoch from r.flush_lag)::float8 end as flush_lag,
    case when r.replay_lsn is not null then extract(epoch from r.replay_lag)::float8 end as replay_lag,
    r.replay_lsn is null and s.slot_type is distinct from 'logical' as only_stores,
    extract(epoch from pg_catalog.clock_timestamp() - r.reply_time)::float8 as reply_seconds
  from pg_catalog.pg_stat_replication as r
  cross join here as h
  left join pg_catalog.pg_replication_slots as s on s.active_pid = r.pid
  where r.state in ('startup', 'catchup', 'streaming')
    and r.application_name !~ '^pg_[0-9]+_sync_[0-9]+|^pg_basebackup$'
    and (s.slot_name ~ '^pg_basebackup_' and s.temporary) is not true
)
select
  s.application_name as replica,
  case when max(s.replayed) < 0 then 0 else max(s.replayed) end as replay_lag_bytes,
  case when max(s.sent) < 0 then 0 else max(s.sent) end as sent_lag_bytes,
  case when max(s.written) < 0 then 0 else max(s.written) end as write_lag_bytes,
  case when max(s.flushed) < 0 then 0 else max(s.flushed) end as flush_lag_bytes,
  max(s.write_lag) as write_lag_seconds,
  max(s.flush_lag) as flush_lag_seconds,
  max(s.replay_lag) as replay_lag_seconds,
  min(case when s.state = 'streaming' then 1 else 0 end) as streaming,
  count(*) as senders,
  min(s.state) as state,
  min(s.sync_state) as sync_state,
  max(s.reply_seconds) as reply_seconds,
  bool_or(s.logical) as logical,
  bool_and(s.only_stores) as only_stores
from sender as s
group by s.application_name
order by
  max(s.replayed) desc nulls last,
  s.application_name
"""


def replication_lag(context: ProbeContext) -> Sequence[RawRow]:
    """One row: how far back this standby is, and by what it is known."""
    if context.facts.flavour == "aurora":
        raise Skipped(Reason.PLATFORM, "Aurora replicas share the primary's storage and replay no log")
    memory = context.memory.of(Received)
    before = primary_of(context.cluster, memory.timeline)
    ahead = before.told.clock_ahead_seconds if before is not None and before.told is not None else None
    seen = look_at(context.fetch, memory, ahead)
    watched = primary_of(context.cluster, seen.timeline)
    upstream = upstream_of(context.cluster, context.target.name, seen.sender) if context.cluster is not None else None
    look = _look(seen, memory, watched, upstream)
    lag = lag_of(look)
    if context.cluster is not None:
        context.cluster.tell(context.target.name, _told(context, seen, look))
    return [_row(seen, look, lag, watched)]


def _look(seen: Standby, memory: Received, watched: Watched | None, upstream: StandbyTold | None) -> Look:
    pending = seen.pending_bytes
    replayed = seen.replayed
    last = watched.clock.last if watched is not None else None
    return Look(
        at=seen.at,
        connected=seen.connected,
        caught_up=pending is not None and pending == 0,
        streams=seen.wants_receiver,
        last_commit=seen.last_commit,
        last_message=memory.last_message,
        received=memory.clock.passed(replayed) if replayed is not None else None,
        clock=watched.clock.passed(replayed) if watched is not None and replayed is not None else None,
        clock_read=last[1] if last is not None else None,
        cut_off=upstream is not None and upstream.cut_off,
        cut_off_since=upstream.cut_off_since if upstream is not None else None,
        delay_seconds=seen.delay_seconds,
    )


def _told(context: ProbeContext, seen: Standby, look: Look) -> StandbyTold:
    addresses = {address for address in ((context.target.host, context.target.port), seen.own_address) if address}
    last_known = max(filter(None, (look.last_commit, look.last_message)), default=None)
    return StandbyTold(
        application_name=seen.application_name,
        addresses=frozenset((host, port) for host, port in addresses if port is not None),
        receiver_up=seen.connected,
        delay_seconds=seen.delay_seconds,
        cut_off=look.cut_off or not seen.connected,
        cut_off_since=look.cut_off_since if seen.connected else last_known,
    )


def _row(seen: Standby, look: Look, lag: Lag, watched: Watched | None) -> RawRow:
    pending = seen.pending_bytes
    newest = watched.clock.last if watched is not None else None
    if newest is not None and seen.replayed is not None:
        pending = max(pending or 0, newest[0] - seen.replayed)
    receiver_up = 1 if seen.connected else 0 if seen.wants_receiver else None
    unpaused = _HOLDERS if seen.connected else _RECEIVER
    return {
        "replay_paused": 1 if seen.paused else 0,
        "lag_seconds": lag.seconds,
        "lag_bytes": pending,
        "receiver_up": receiver_up,
        "message_age_seconds": seen.message_seconds,
        "last_replay_age_seconds": None if seen.last_commit is None else seen.at - seen.last_commit,
        "delay_seconds": seen.delay_seconds,
        "method": str(lag.method),
        "state": _state(seen, look, lag),
        "remedy": _RESUME if seen.paused else unpaused,
    }


def _state(seen: Standby, look: Look, lag: Lag) -> str:
    since = " since before we looked" if lag.at_least and lag.seconds else ""
    if seen.paused:
        return f"replay is paused{since}"
    if not seen.connected and not seen.wants_receiver:
        return "reads archived log only"
    if not seen.connected:
        return f"not connected to its primary{since}"
    if not look.caught_up:
        return f"connected and behind{since}"
    if not lag.seconds:
        return "connected and caught up"
    return "connected to a standby that is cut off" if look.cut_off else "connected, but the primary is ahead"


def replica_lag(context: ProbeContext) -> Sequence[RawRow]:
    """A row for each name of a replica: where it is in the log, and what of that is owed."""
    standbys = _tell_of_self(context)
    rows: list[RawRow] = []
    for row in context.fetch(_SENDERS, limit=context.check.limit):
        name, senders = str(row["replica"]), int(str(row["senders"]))
        logical = bool(row["logical"])
        delay = 0.0 if logical else known_delay(standbys, name, senders)
        told = {key: value for key, value in row.items() if key not in ("logical", "only_stores")}
        rows.append({**told, **_overdue(row, delay), "delay_seconds": delay})
    return rows


def _tell_of_self(context: ProbeContext) -> Sequence[StandbyTold]:
    cluster: Cluster | None = context.cluster
    if cluster is None:
        return ()
    started = time.monotonic()
    row = context.fetch(_SELF, limit=1)[0]
    at = (started + time.monotonic()) / 2
    now, timeline = row["now"], row["timeline"]
    if isinstance(now, float) and isinstance(timeline, int):
        cluster.tell(context.target.name, PrimaryTold(timeline, now - at))
    return [one.value for one in cluster.told(StandbyTold, within_seconds=STANDBY_SECONDS).values()]


def _overdue(row: RawRow, delay: float | None) -> RawRow:
    """What the replica should have by now and has not.

    Replay counts only where it is known not to be held back on purpose: a delay is a setting of the standby, and a
    primary cannot tell one from a replay that is stuck. One that only stores log may flush whole files.
    """
    stage = "write" if row["only_stores"] or row["flush_lag_bytes"] is None else "flush"
    received_bytes, received_seconds = row[f"{stage}_lag_bytes"], row[f"{stage}_lag_seconds"]
    if received_seconds is None:
        received_seconds = row["write_lag_seconds"]
    replay_seconds = row["replay_lag_seconds"]
    if delay == 0.0:
        received_bytes = row["replay_lag_bytes"]
    if delay is not None and isinstance(replay_seconds, float):
        late = max(0.0, replay_seconds - delay)
        received_seconds = max(late, received_seconds) if isinstance(received_seconds, float) else late
    if received_bytes is None:  # a sender that has not begun: all that is unsent is owed
        received_bytes = row["sent_lag_bytes"]
    return {"overdue_bytes": received_bytes, "overdue_seconds": received_seconds}
