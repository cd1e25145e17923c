"""Owns what a PostgreSQL target shows of its backups: the archiver's view, and the dump files the target names.

Refuses to call a database that writes nothing behind: what counts is finished log that waits, not the time since the
last file. A source that has never succeeded has no age.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence

from dbwatch.config.target import Dumps
from dbwatch.engines.dumps import scan_dumps
from dbwatch.engines.postgres.archiving import ASK_ARCHIVER, read_archiving
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import bytes_text, duration_text


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
    archiving = read_archiving(context)
    if archiving is None:
        return []
    row: dict[str, object] = {
        "source": "archive",
        "age_seconds": archiving.waiting_seconds,
        "every_seconds": None,
        "never": archiving.never,
        "unarchived_bytes": archiving.unarchived_bytes,
        "state": archiving.sentence,
        "remedy": ASK_ARCHIVER,
    }
    return [row]


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
        "unarchived_bytes": None,
        "state": state,
        "remedy": f"ls -lt {shlex.quote(str(dumps.path))}  # then look at the job that writes there, and run it now",
    }
