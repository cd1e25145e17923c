"""Owns reading how archiving of finished log goes: what waits, since when, and what the archiver says. Judges nothing.

The one place that both questions about it lean on: does it work (`archiver_failing`), and how old is what could be
restored (`backup_stale`). Time counts only while something waits, so an idle server is never late.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from dbwatch.engines.archived import ArchivingTold, segment_end, why_void
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number, text
from dbwatch.model import RawRow
from dbwatch.units import duration_text

ASK_ARCHIVER = (
    "SELECT last_failed_wal, last_failed_time, failed_count, last_archived_wal, last_archived_time,"
    " current_setting('archive_command') AS archive_command FROM pg_stat_archiver;"
    "  -- the server log has the command's own error"
)

# Each look into pg_settings makes all of its rows: four of them cost more than all the rest.
_ARCHIVER = """
-- needs no privilege
select
  pg_catalog.current_setting('archive_mode') as archive_mode,
  pg_catalog.pg_is_in_recovery() as in_recovery,
  pg_catalog.pg_wal_lsn_diff(
    case
      when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
      else pg_catalog.pg_current_wal_lsn()
    end,
    '0/0'
  )::float8 as position_bytes,
  pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))::float8 as segment_bytes,
  pg_catalog.concat(
    pg_catalog.current_setting('archive_command'), pg_catalog.current_setting('archive_library', true)
  ) as archiver,
  extract(epoch from pg_catalog.current_setting('archive_timeout')::pg_catalog.interval)::float8 as timeout_seconds,
  nullif(pg_catalog.current_setting('archive_library', true), '') as archive_library,
  pg_catalog.current_setting('archive_command') as archive_command,
  extract(epoch from pg_catalog.now() - greatest(a.stats_reset, pg_catalog.pg_postmaster_start_time()))::float8
    as counted_seconds,
  a.archived_count,
  a.failed_count,
  a.last_archived_wal,
  a.last_failed_wal,
  coalesce(a.last_failed_time > a.last_archived_time, a.last_failed_time is not null) as has_failed,
  case
    when a.last_archived_time is not null
      then greatest(extract(epoch from pg_catalog.now() - a.last_archived_time), 0)::float8
  end as archived_seconds
from pg_catalog.pg_stat_archiver as a
"""

_WAITING = """
-- Privilege: pg_monitor. A file NAME.ready stands for finished log that the archiver has not dealt with.
select
  count(*)::float8 as files,
  greatest(extract(epoch from pg_catalog.now() - min(f.modification)), 0)::float8 as oldest_seconds,
  min(f.name) filter (where f.name ~ '^[0-9A-F]{24}[.]ready$') as first_name,
  (
    select pg_catalog.bool_or(true)
    from pg_catalog.pg_ls_archive_statusdir() as d
    where d.name ~ '^[0-9A-F]{24}[.]done$'
  ) as has_done
from pg_catalog.pg_ls_archive_statusdir() as f
where f.name like '%.ready'
"""


@dataclass(frozen=True, slots=True)
class Archiving:
    """How archiving goes on a server that is meant to archive.

    `failing`: the last attempt failed and something waits still. `stalled`: nothing was archived since the oldest
    waiting file was ready, for whatever reason. `waiting_seconds` is 0 when nothing waits. `written_since_bytes` is the
    log after the oldest waiting segment, `unarchived_bytes` that after the last archived one; None when unknown.
    `never`: nothing has been archived in the `counted_seconds` since start or reset, and no file is marked as
    archived. `void` says why what is "archived" is kept nowhere.
    """

    is_configured: bool
    failing: bool
    stalled: bool
    never: bool
    waiting_files: float
    waiting_seconds: float
    archived_count: float
    failed_count: float
    archived_seconds: float | None
    last_failed: str | None
    written_since_bytes: float | None
    unarchived_bytes: float | None
    counted_seconds: float
    void: str | None = None

    @property
    def sentence(self) -> str:
        """What a person wants to know first."""
        waits = "no log waits"
        if self.waiting_files:
            waits = f"{self.waiting_files:g} log files wait, the oldest for {duration_text(self.waiting_seconds)}"
        if not self.is_configured:
            return f"archive_command is empty, {waits}"
        if self.void is not None:
            return f"no log is kept: {self.void}"
        if self.failing:
            return f"archiving {self.last_failed} fails, {waits}"
        if self.never:
            since = duration_text(self.counted_seconds)
            return f"nothing has been archived in the {since} that this was counted, {waits}"
        if self.archived_seconds is None:
            return f"when log was archived last is forgotten, {waits}"
        return f"last archived {duration_text(self.archived_seconds)} ago, {waits}"


def read_archiving(context: ProbeContext) -> Archiving | None:
    """What the server tells; None when it is not meant to archive: switched off, or left to the primary."""
    seen = context.fetch(_ARCHIVER, limit=1)[0]
    mode = seen["archive_mode"]
    if mode == "off" or (seen["in_recovery"] and mode != "always"):
        return None
    waiting = context.fetch(_WAITING, limit=1)[0]
    files, seconds = number(waiting["files"]) or 0.0, number(waiting["oldest_seconds"]) or 0.0
    archived_seconds = number(seen["archived_seconds"])
    failing = bool(seen["has_failed"]) and files > 0
    # What fails is no silent loss, whatever the command looks like.
    void = None if seen["archive_library"] or failing else why_void(text(seen["archive_command"]) or "")
    archiving = Archiving(
        is_configured=bool(seen["archiver"]),
        failing=failing,
        stalled=files > 0 and (archived_seconds is None or archived_seconds > seconds),
        never=seen["last_archived_wal"] is None and not waiting["has_done"],
        waiting_files=files,
        waiting_seconds=seconds if files else 0.0,
        archived_count=number(seen["archived_count"]) or 0.0,
        failed_count=number(seen["failed_count"]) or 0.0,
        archived_seconds=archived_seconds,
        last_failed=text(seen["last_failed_wal"]),
        written_since_bytes=_written_since(seen, waiting["first_name"]),
        unarchived_bytes=None if void else _written_since(seen, seen["last_archived_wal"]),
        counted_seconds=max(0.0, number(seen["counted_seconds"]) or 0.0),
        void=void,
    )
    _tell(context, seen, archiving)
    return archiving


def _tell(context: ProbeContext, seen: RawRow, archiving: Archiving) -> None:
    """To those who look at the backups of this cluster."""
    position, segment = number(seen["position_bytes"]), number(seen["segment_bytes"])
    if context.cluster is None or position is None or segment is None:
        return
    now = time.time()
    archived_end = None
    if archiving.unarchived_bytes is not None and archiving.void is None:
        archived_end = segment_end(text(seen["last_archived_wal"]), int(segment))
    told = ArchivingTold(
        at_seconds=now,
        segment_bytes=int(segment),
        position=int(position),
        archived_end=archived_end,
        archived_at_seconds=None if archiving.archived_seconds is None else now - archiving.archived_seconds,
        timeout_seconds=number(seen["timeout_seconds"]) or 0.0,
        void=archiving.void,
    )
    context.cluster.tell(context.target.name, told)


def _written_since(seen: RawRow, name: object) -> float | None:
    """Log written since the end of a segment, by its file's name; None when that is no segment."""
    position, segment = number(seen["position_bytes"]), number(seen["segment_bytes"])
    end = segment_end(None if name is None else str(name), int(segment)) if segment is not None else None
    if end is None or position is None:
        return None
    return max(0.0, position - end)
