"""Owns PgBouncer as an engine: connecting to its console, the connect probe, the remedies."""

from __future__ import annotations

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.config.url import CONSOLE
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Measurement
from dbwatch.engines.libpq.connect import open_connection
from dbwatch.engines.libpq.reach import reach
from dbwatch.engines.memory import Memory
from dbwatch.engines.pgbouncer.grants import stats_users
from dbwatch.engines.pgbouncer.session import PgBouncerSession
from dbwatch.errors import CheckError, TargetError
from dbwatch.model import Engine, Facts, RawRow, Reason

_QUESTION = b"SHOW VERSION"
_NOT_LISTED = "not allowed"
_POSTGRES = ('unrecognized configuration parameter "version"', f'database "{CONSOLE}" does not exist')
"""What a PostgreSQL says in place of the console."""


class PgBouncerAdapter:
    """See `engines.base.Adapter`. One a lane: it holds what the target's probes remember."""

    def __init__(self) -> None:
        self._memory = Memory()

    @property
    def engine(self) -> Engine:
        return Engine.PGBOUNCER

    def connect(self, target: Target, deadline: Deadline) -> PgBouncerSession:
        try:
            connection = open_connection(target, deadline)
        except TargetError as error:
            raise TargetError(error.reason, error.phase, _told(str(error), target)) from None
        return PgBouncerSession(target, connection, self._memory)

    def reach(self, target: Target, deadline: Deadline) -> Measurement:
        """The console is asked on a connection of its own; it is let in even when max_client_conn is reached."""
        measured = reach(target, deadline, _QUESTION)
        rows: tuple[RawRow, ...] = tuple(
            {**row, "message": _told(str(row["message"]), target)} for row in measured.rows
        )
        return Measurement(rows, measured.database_seconds, measured.read_at)

    def remedy(self, error: CheckError, check: Check, facts: Facts) -> str | None:  # noqa: ARG002 - part of the seam
        if error.remedy is not None:
            return error.remedy
        return stats_users(facts.user) if error.reason is Reason.PRIVILEGE else None


def _told(message: str, target: Target) -> str:
    """What PgBouncer means by "not allowed": the password was right, the console is not for this user."""
    if any(words in message for words in _POSTGRES):
        return f"{message}: a PostgreSQL answers there, and not PgBouncer, which has a port of its own (often 6432)"
    if message != _NOT_LISTED:
        return message
    who = f"the user {target.user}" if target.user else "this user"
    return f"{who} may log in but not to the console: it stands in neither stats_users nor admin_users of pgbouncer.ini"
