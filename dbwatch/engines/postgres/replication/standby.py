"""Owns looking at a standby and remembering what its receiver said, in one clock. Judges nothing.

The server tells times by two wall clocks, its own and its primary's; ages are durations on our monotonic clock. How
far the two are apart is what the primary tells itself where it is watched, else the fastest message that ever came.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from dbwatch.engines.postgres.cluster import LsnClock
from dbwatch.engines.postgres.probe import Fetch
from dbwatch.engines.postgres.rows import number

_MOST_MESSAGES = 40
_PING_GRACE_SECONDS = 5.0

SQL = """
-- Privilege: pg_monitor, for the receiver's positions and primary_conninfo, of which only the application's name leaves
-- the server. Lock: none. Times are read first, so that no age is negative.
with moment as materialized (
  select pg_catalog.clock_timestamp() as now
),
setting as (
  select
    max(s.setting) filter (where s.name = 'primary_conninfo') as conninfo,
    max(s.setting) filter (where s.name = 'cluster_name') as cluster_name,
    coalesce(max(s.setting) filter (where s.name = 'recovery_min_apply_delay'), '0')::float8 / 1000 as delay_seconds,
    coalesce(max(s.setting) filter (where s.name = 'wal_receiver_timeout'), '0')::float8 / 1000 as timeout_seconds
  from pg_catalog.pg_settings as s
  where s.name in ('primary_conninfo', 'cluster_name', 'recovery_min_apply_delay', 'wal_receiver_timeout')
)
select
  extract(epoch from m.now)::float8 as now,
  pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::int8 as replayed,
  pg_catalog.pg_wal_lsn_diff(
    greatest(pg_catalog.pg_last_wal_receive_lsn(), w.flushed_lsn, w.latest_end_lsn),
    '0/0'
  )::int8 as received,
  extract(epoch from pg_catalog.pg_last_xact_replay_timestamp())::float8 as last_commit,
  pg_catalog.pg_is_wal_replay_paused() as paused,
  w.status = 'streaming' as streaming,
  pg_catalog.pg_wal_lsn_diff(w.latest_end_lsn, '0/0')::int8 as latest_end,
  extract(epoch from w.latest_end_time)::float8 as latest_end_time,
  extract(epoch from w.last_msg_send_time)::float8 as message_sent,
  extract(epoch from w.last_msg_receipt_time)::float8 as message_received,
  w.received_tli as timeline,
  w.sender_host,
  w.sender_port,
  coalesce(s.conninfo, '') <> '' as wants_receiver,
  coalesce(
    -- application_name=x or application_name = 'x y', as libpq reads it
    pg_catalog.substring(s.conninfo, $re$\\yapplication_name\\s*=\\s*'((?:[^'\\\\]|\\\\.)*)'$re$),
    pg_catalog.substring(s.conninfo, $re$\\yapplication_name\\s*=\\s*([^'\\s]\\S*)$re$),
    nullif(s.cluster_name, ''),
    'walreceiver'
  ) as application_name,
  pg_catalog.host(pg_catalog.inet_server_addr()) as own_host,
  pg_catalog.inet_server_port() as own_port,
  s.delay_seconds,
  s.timeout_seconds
from moment as m
cross join setting as s
left join pg_catalog.pg_stat_wal_receiver as w on true
"""


class Received:
    """What a standby's receiver has said so far. `clock` has the end of the primary's log as told to the standby."""

    def __init__(self) -> None:
        self.clock = LsnClock()
        self.last_message: float | None = None
        self.timeline: int | None = None
        self._transits: deque[float] = deque(maxlen=_MOST_MESSAGES)
        self._newest_sent: float | None = None

    def hear(self, sent: float, received: float) -> None:
        """A message, by the wall clocks of sender and receiver."""
        if sent != self._newest_sent:
            self._newest_sent = sent
            self._transits.append(received - sent)

    @property
    def ahead_seconds(self) -> float:
        """How far the standby's wall clock is ahead of the primary's, at most; 0 where no message tells."""
        return min(self._transits, default=0.0)


@dataclass(frozen=True, slots=True)
class Standby:
    """One look at a standby. Moments are on our monotonic clock, positions are bytes since the log began."""

    at: float
    replayed: int | None
    received: int | None
    connected: bool
    wants_receiver: bool
    paused: bool
    last_commit: float | None
    message_seconds: float | None
    timeline: int | None
    application_name: str
    sender: tuple[str, int] | None
    own_address: tuple[str, int] | None
    delay_seconds: float

    @property
    def pending_bytes(self) -> int | None:
        """Log it knows of and has not replayed. After a restart it may have replayed more than it has received."""
        if self.replayed is None or self.received is None:
            return None
        return max(0, self.received - self.replayed)


def look_at(fetch: Fetch, memory: Received, primary_ahead: float | None) -> Standby:
    """Look, and remember. `primary_ahead` is the primary's wall clock less our monotonic one, where it is watched."""
    started = time.monotonic()
    row = fetch(SQL, limit=1)[0]
    at = (started + time.monotonic()) / 2
    now = number(row["now"]) or 0.0
    sent, heard = number(row["message_sent"]), number(row["message_received"])
    # A receiver that starts notes one moment as both, before it has heard anything.
    spoke = sent is not None and heard is not None and sent != heard
    if sent is not None and heard is not None and spoke:
        memory.hear(sent, heard)

    def by_primary(moment: float | None) -> float | None:
        """A moment of the primary's wall clock, on ours; never in the future."""
        if moment is None:
            return None
        ours = moment - primary_ahead if primary_ahead is not None else at - (now - moment - memory.ahead_seconds)
        return min(ours, at)

    message_seconds = None if heard is None else max(0.0, now - heard)
    connected = bool(row["streaming"]) and _is_alive(message_seconds, number(row["timeout_seconds"]))
    latest_end, timeline = _integer(row, "latest_end"), _integer(row, "timeline")
    if message_seconds is not None and spoke:
        memory.last_message = at - message_seconds
    if timeline is not None:
        memory.timeline = timeline
    last = at if connected else memory.last_message
    if latest_end and last is not None:
        reached = by_primary(number(row["latest_end_time"]))
        memory.clock.tick("", latest_end, min(reached, last) if reached is not None else last)
        memory.clock.tick("", latest_end, last)
    return Standby(
        at=at,
        replayed=_integer(row, "replayed"),
        received=_integer(row, "received"),
        connected=connected,
        wants_receiver=bool(row["wants_receiver"]),
        paused=bool(row["paused"]),
        last_commit=by_primary(number(row["last_commit"])),
        message_seconds=message_seconds,
        timeline=memory.timeline,
        application_name=str(row["application_name"]),
        sender=_address(row, "sender"),
        own_address=_address(row, "own"),
        delay_seconds=number(row["delay_seconds"]) or 0.0,
    )


def _is_alive(message_seconds: float | None, timeout_seconds: float | None) -> bool:
    """A receiver that hears nothing for half its time limit asks, and a living sender answers at once."""
    if not timeout_seconds:
        return True
    return message_seconds is not None and message_seconds < timeout_seconds / 2 + _PING_GRACE_SECONDS


def _integer(row: Mapping[str, object], name: str) -> int | None:
    value = row[name]
    return value if isinstance(value, int) else None


def _address(row: Mapping[str, object], whose: str) -> tuple[str, int] | None:
    host, port = row[f"{whose}_host"], _integer(row, f"{whose}_port")
    return (str(host), port) if host is not None and port is not None else None
