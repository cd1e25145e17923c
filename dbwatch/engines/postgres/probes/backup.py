"""Owns what a PostgreSQL target shows of its backups: the archiver's view, dump files, a table somebody else writes to.

Refuses to call a database that writes nothing behind: what counts is finished log that waits, not the time since the
last file. A source that has never succeeded has no age.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from dbwatch.config import Dumps
from dbwatch.config.backups import MarkerTable
from dbwatch.deadline import Deadline
from dbwatch.engines.backup.context import Told, groups
from dbwatch.engines.backup.files import planned_dumps
from dbwatch.engines.backup.probes.ages import row_of
from dbwatch.engines.postgres.archiving import ASK_ARCHIVER, read_archiving
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.template import quoted_ident
from dbwatch.units import duration_text

_FUTURE_SECONDS = 300.0


def backup_stale(context: ProbeContext) -> Sequence[RawRow]:
    """A row for the archive and one for each series of dumps. Skipped when there is none to look at."""
    rows = [*_archive(context)]
    for dumps in context.target.backups.dumps:
        rows += _dumps(dumps, context.remaining())
    if not rows:
        raise Skipped(
            Reason.SETTING,
            "no backup source known: this server archives no log and the target names no `dumps:`",
        )
    return rows


def _archive(context: ProbeContext) -> Iterator[RawRow]:
    archiving = read_archiving(context)
    if archiving is None:
        return
    row: dict[str, object] = {
        "source": "archive",
        "name": "wal",
        "age_seconds": archiving.waiting_seconds,
        "every_seconds": None,
        "never": archiving.never or archiving.void is not None,
        "counted_seconds": archiving.counted_seconds,
        "unarchived_bytes": archiving.unarchived_bytes,
        "state": archiving.sentence,
        "remedy": "SELECT pg_switch_wal();  -- ends the present file, so that it is archived"
        if _unproven(never=archiving.never, waiting=archiving.waiting_files)
        else ASK_ARCHIVER,
    }
    yield row


def _unproven(*, never: bool, waiting: float) -> bool:
    return never and not waiting


def _dumps(dumps: Dumps, seconds: float) -> Iterator[RawRow]:
    planned = planned_dumps(dumps, dumps.name)
    told = Told(planned, planned.source.look(Deadline.after(seconds)))
    for group in groups(told, time.time()):
        row = row_of(group)
        job = "then look at the job that writes there, and run it now"
        yield {
            "source": "dumps",
            "name": group.name,
            "age_seconds": row["age_seconds"],
            "every_seconds": group.every,
            "never": row["never"],
            "counted_seconds": None,
            "unarchived_bytes": None,
            "state": row["sentence"],
            "remedy": f"{row['look']}  # {job}",
        }


def backup_marker_old(context: ProbeContext) -> Sequence[RawRow]:
    """A row for each table that is named as a marker; its newest moment is all that is read."""
    tables = context.target.backups.tables
    if not tables:
        raise Skipped(Reason.SETTING, "no table is named in `marker:`")
    return [_marker(context, table) for table in tables]


def _marker(context: ProbeContext, marker: MarkerTable) -> RawRow:
    schema, table, column = (quoted_ident(name) for name in (marker.schema, marker.table, marker.column))
    place = f"{schema}.{table}"
    read = context.fetch(
        f"select extract(epoch from pg_catalog.now() - max(m.{column})::timestamptz)::float8 as age"  # noqa: S608 - quoted
        f" from {place} as m",
        limit=1,
    )
    age = number(read[0]["age"]) if read else None
    if age is not None and age < -_FUTURE_SECONDS:
        text = f"the newest {column} of {place} is {duration_text(-age)} in the future and proves nothing"
        raise CheckError(Reason.BAD_RESULT, text, step="marker")
    due = f"it is due every {duration_text(marker.every)}"
    return {
        "name": marker.name or marker.table,
        "never": age is None,
        "age_seconds": None if age is None else max(0.0, age),
        "every_seconds": marker.every,
        "state": f"{place} was never marked, {due}"
        if age is None
        else f"{place} was marked {duration_text(max(0.0, age))} ago, {due}",
        "remedy": f"SELECT max({column}) FROM {place};  -- then look at the job that writes it",  # noqa: S608 - quoted
    }
