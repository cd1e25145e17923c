"""Owns asking one server once: the facts, the survey of the role, and every check by running it. Advises nothing.

A check is judged by what it answers, not by what its file says it needs: a right may be missing that nobody declared.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import CONNECT_PROBE, Adapter, Measurement, Session
from dbwatch.errors import CheckError, ConnectionLost, TargetError
from dbwatch.model import Reason
from dbwatch.runner.plan import unmet
from dbwatch.runner.watchdog import Watchdog

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FACTS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """What became of one check: everything unmet before it ran, its failure, or its measurement."""

    unmet: tuple[CheckError, ...] = ()
    error: CheckError | None = None
    measurement: Measurement | None = None


def opened(target: Target, adapter: Adapter, watchdog: Watchdog) -> Session:
    """A session that knows its facts. Raises TargetError."""
    deadline = Deadline.after(target.connect_timeout + FACTS_SECONDS)
    session = adapter.connect(target, deadline)
    try:
        with watchdog.guarding(session, deadline):
            session.refresh(deadline)
    except CheckError as error:
        session.close()
        raise TargetError(error.reason, error.step or "facts", str(error)) from None
    except BaseException:
        session.close()
        raise
    return session


def look(check: Check, session: Session, watchdog: Watchdog) -> Look:
    """Run a check once, as `dbwatch check` would. Raises ConnectionLost when the session is of no more use."""
    wanting = tuple(unmet(check, session.facts))
    if wanting or check.probe == CONNECT_PROBE:
        return Look(unmet=wanting)
    deadline = Deadline.after(check.timeout)
    try:
        with watchdog.guarding(session, deadline):
            return Look(measurement=session.measure(check, deadline))
    except ConnectionLost:
        raise
    except CheckError as error:
        return Look(error=error)
    except Exception as error:
        log.exception("check crashed", target=str(session.facts.address), check=check.name)
        return Look(error=CheckError(Reason.ERROR, f"internal error in {check.name}: {type(error).__name__}"))
