"""Owns what a PostgreSQL target shows of its backups: the archiver's view, and the dump files the target names.

Refuses to call a database that writes nothing behind: what counts is finished log that waits, not the time since the
last file. A source that has never succeeded has no age.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Sequence

from dbwatch.config.target import Dumps
from dbwatch.engines.dumps import scan_dumps
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import bytes_text, duration_text

_WAL_FILE = re.compile(r"[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})(?:\..*)?")

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
  (
    select s.setting::float8
    from pg_catalog.pg_settings as s
    where s.name = 'wal_segment_size'
  ) as segment_bytes,
  (
    select pg_catalog.string_agg(s.setting, '')
    from pg_catalog.pg_settings as s
    where s.name in ('archive_command', 'archive_library')
  ) as archiver,
  a.last_archived_wal,
  a.last_failed_wal,
  a.failed_count::float8 as failed_count,
  coalesce(a.last_failed_time > a.last_archived_time, a.last_failed_time is not null) as is_failing,
  greatest(extract(epoch from pg_catalog.now() - a.last_archived_time), 0)::float8 as archived_seconds
from pg_catalog.pg_stat_archiver as a
"""

_ASK_ARCHIVER = (
    "SELECT last_failed_wal, last_failed_time, failed_count, last_archived_wal, last_archived_time,"
    " current_setting('archive_command') AS archive_command FROM pg_stat_archiver;"
)

_WAITING = """
-- Privilege: pg_monitor. A file NAME.ready stands for finished log that the archiver has not dealt with.
select
  count(*)::float8 as files,
  greatest(extract(epoch from pg_catalog.now() - min(f.modification)), 0)::float8 as oldest_seconds
from pg_catalog.pg_ls_archive_statusdir() as f
where f.name like '%.ready'
"""


def backup_stale(context: ProbeContext) -> Sequence[RawRow]:
    """One row a backup source of this server. Skipped when there is none to look at."""
    rows = [*_archive(context)]
    if context.target.dumps is not None:
        rows.append(_dumps(context.target.dumps))
    if not rows:
        raise Skipped(
            Reason.SETTING,
            "no backup source known: this server archives no log and the target names no `dumps:`",
        )
    return rows


def _archive(context: ProbeContext) -> Sequence[RawRow]:
    seen = context.fetch(_ARCHIVER, limit=1)[0]
    mode = seen["archive_mode"]
    if mode == "off" or (seen["in_recovery"] and mode != "always"):
        return []
    waiting = context.fetch(_WAITING, limit=1)[0]
    files, oldest = _number(waiting["files"]) or 0.0, _number(waiting["oldest_seconds"])
    never = seen["last_archived_wal"] is None
    failing = bool(seen["is_failing"])
    behind = oldest if files else 0.0
    row: dict[str, object] = {
        "source": "archive",
        "age_seconds": behind,
        "every_seconds": None,
        "never": never,
        "failing": failing,
        "waiting_files": files,
        "unarchived_bytes": _unarchived(seen),
        "state": _archive_state(seen, files, behind, never=never, failing=failing),
        "remedy": f"{_ASK_ARCHIVER}  -- the server log has the command's own error",
    }
    return [row]


def _archive_state(seen: RawRow, files: float, behind: float | None, *, never: bool, failing: bool) -> str:
    waits = f"{files:g} log files wait, the oldest for {duration_text(behind or 0.0)}" if files else "no log waits"
    if not seen["archiver"]:
        return f"archive_command is empty, {waits}"
    if failing:
        return f"archiving {seen['last_failed_wal']} fails, {waits}"
    if never:
        return f"nothing has been archived yet, {waits}"
    return f"last archived {duration_text(_number(seen['archived_seconds']) or 0.0)} ago, {waits}"


def _unarchived(seen: RawRow) -> float | None:
    """Log written since the end of the last archived segment; None when that is no segment."""
    match = _WAL_FILE.fullmatch(str(seen["last_archived_wal"]))
    position, segment = _number(seen["position_bytes"]), _number(seen["segment_bytes"])
    if match is None or position is None or segment is None:
        return None
    end = int(match.group(1), 16) * 2.0**32 + (int(match.group(2), 16) + 1) * segment
    return max(0.0, position - end)


def _dumps(dumps: Dumps) -> RawRow:
    now = time.time()
    seen = scan_dumps(dumps, now)
    if seen.unreadable is not None:
        raise CheckError(Reason.ERROR, f"the dump files cannot be looked at: {seen.unreadable}", step="dumps")
    never = seen.newest_at_seconds is None
    if seen.newest_at_seconds is None:
        age, state = None, f"there is no whole dump in {dumps.path}"
    else:
        age = max(0.0, now - seen.newest_at_seconds)
        state = f"the last whole dump is {duration_text(age)} old ({bytes_text(seen.newest_bytes or 0)})"
    if seen.problem is not None:
        state += f"; {seen.problem}"
    return {
        "source": "dumps",
        "age_seconds": age,
        "every_seconds": dumps.every,
        "never": never,
        "failing": None,
        "waiting_files": None,
        "unarchived_bytes": None,
        "state": state,
        "remedy": f"ls -lt {shlex.quote(str(dumps.path))}  # then look at the job that writes there, and run it now",
    }


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
