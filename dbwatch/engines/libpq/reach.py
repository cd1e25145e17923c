"""Owns the row about one fresh connection: did it open and answer, how long each phase took, and where it ended."""

from __future__ import annotations

import time

import psycopg

from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Measurement
from dbwatch.engines.libpq.connect import Phases, answer, open_connection
from dbwatch.engines.libpq.errors import translate
from dbwatch.errors import TargetError
from dbwatch.model import Reason
from dbwatch.units import duration_text

_PHASES = ("resolve", "connect", "tls", "auth", "query")


def reach(target: Target, deadline: Deadline, query: bytes | None = None) -> Measurement:
    """Connect, ask the smallest query or the one given, hang up. Never raises for a server."""
    phases = Phases()
    failure: TargetError | None = None
    try:
        with open_connection(target, deadline, phases=phases) as connection:
            phases.enter("query")
            answer(connection.pgconn, deadline, query)
    except TargetError as error:
        failure = error
    except psycopg.Error as error:
        lost = translate(error, "query", broken=True)
        failure = TargetError(lost.reason, "query", str(lost))
    failed_phase = phases.current if failure is not None else None
    phases.finish()
    seconds = {f"{phase}_seconds": phases.seconds.get(phase) for phase in _PHASES}
    if failed_phase is not None:
        # A phase that did not end has no duration; how long we waited says nothing about the server.
        seconds[f"{failed_phase}_seconds"] = None
    row: dict[str, object] = {
        "up": failure is None,
        "starting": failure is not None and failure.reason is Reason.NOT_READY,
        **seconds,
        "phase": failure.phase if failure is not None else None,
        "reason": str(failure.reason) if failure is not None else None,
        "message": str(failure) if failure is not None else _told(phases),
    }
    return Measurement((row,), 0.0, time.monotonic())


def _told(phases: Phases) -> str:
    """How long a connection that succeeded took, and where most of it went: the words of a slow one."""
    slowest = max(phases.seconds, key=lambda phase: phases.seconds[phase])
    total, most = sum(phases.seconds.values()), phases.seconds[slowest]
    return f"connected and answered in {duration_text(total)}, {duration_text(most)} of it in step {slowest}"
