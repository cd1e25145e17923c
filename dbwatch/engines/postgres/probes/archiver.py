"""Owns the row that says whether archiving works at the moment. Refuses to say how old a backup is: see `backup`."""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.archiving import ASK_ARCHIVER, read_archiving
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

_CONFIGURE = (
    "ALTER SYSTEM SET archive_command = 'cp %p /ARCHIVE/%f'; SELECT pg_reload_conf();  -- your archive's own command;"
    " archive_mode = off, with a restart, if there is to be none"
)


def archiver_failing(context: ProbeContext) -> Sequence[RawRow]:
    """One row; skipped where nothing is archived, or a standby leaves it to its primary."""
    archiving = read_archiving(context)
    if archiving is None:
        raise Skipped(Reason.SETTING, "archives no log (archive_mode; on a standby only `always` does)")
    return [
        {
            "failing": archiving.failing,
            "stalled": archiving.stalled,
            "void": archiving.void is not None,
            "waiting_files": archiving.waiting_files,
            "waiting_seconds": archiving.waiting_seconds,
            "written_since_bytes": archiving.written_since_bytes,
            "archived_age_seconds": archiving.archived_seconds,
            "archived": archiving.archived_count,
            "failures": archiving.failed_count,
            "state": archiving.sentence,
            "remedy": ASK_ARCHIVER if archiving.is_configured and archiving.void is None else _CONFIGURE,
        }
    ]
