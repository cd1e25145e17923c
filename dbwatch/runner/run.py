"""Owns one run: measure, fit, judge, and an outcome whatever happens. Never raises, never leaves half a result."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Adapter, Measurement, Session
from dbwatch.errors import CheckError, ConnectionLost, Skipped, TargetError
from dbwatch.model import Facts, Outcome, Reason, Row, Status
from dbwatch.runner.contract import fit
from dbwatch.runner.plan import not_applicable
from dbwatch.runner.samples import Reading, reading
from dbwatch.runner.verdict import judge
from dbwatch.runner.watchdog import Watchdog

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_MOST_TOLD = 3
_NEARLY = 0.1
_FIRST_READING = "the first reading; the verdict follows with the second"
_ASKING = ("query", "fetch")


@dataclass(frozen=True, slots=True)
class Run:
    """An outcome, and what the next run of the same check needs to know."""

    outcome: Outcome
    reading: Reading | None = None


class Runner:
    """Runs checks of one target. One thread at a time; the watchdog is shared by all lanes."""

    def __init__(self, target: Target, adapter: Adapter, watchdog: Watchdog) -> None:
        self.target = target
        self.adapter = adapter
        self._watchdog = watchdog

    def run(self, check: Check, session: Session, before: Reading | None = None, *, lifetime: bool = False) -> Run:
        """Run a check on a session."""
        facts = session.facts
        skipped = not_applicable(check, facts)
        if skipped is not None:
            return Run(self.failed(check, skipped, facts=facts))
        deadline = Deadline.after(check.timeout)

        def measure() -> Measurement:
            with self._watchdog.guarding(session, deadline) as guarded:
                try:
                    return session.measure(check, deadline)
                except CheckError as error:
                    # The server's own limit is a little shorter than ours.
                    ended = error.reason is Reason.TIMEOUT and deadline.remaining < check.timeout * _NEARLY
                    if (guarded.struck or ended) and not isinstance(error, Skipped):
                        raise _struck(error, check, session) from error
                    raise

        return self._settle(check, measure, before, lifetime=lifetime, facts=facts)

    def reach(self, check: Check, before: Reading | None = None) -> Run:
        """Run the connect probe, which needs no session."""
        return self._settle(check, lambda: self.adapter.reach(self.target, Deadline.after(check.timeout)), before)

    def failed(
        self, check: Check, error: CheckError | TargetError, *, started: float | None = None, facts: Facts | None = None
    ) -> Outcome:
        """The outcome of a run that gave no answer."""
        now = time.monotonic()
        spent = now - started if started is not None else 0.0
        step = error.phase if isinstance(error, TargetError) else error.step
        remedy = None
        if facts is not None and isinstance(error, CheckError):
            remedy = self.adapter.remedy(error, check, facts)
        return Outcome(
            target=self.target.name,
            check=check.name,
            status=Status.SKIPPED if isinstance(error, Skipped) else Status.UNKNOWN,
            summary=str(error),
            reason=error.reason,
            remedy=remedy,
            step=step,
            duration_seconds=spent,
            database_seconds=spent if _asked_in_vain(error) else 0.0,
            finished=now,
            finished_at_seconds=time.time(),
        )

    def _settle(
        self,
        check: Check,
        measure: Callable[[], Measurement],
        before: Reading | None,
        *,
        lifetime: bool = False,
        facts: Facts | None = None,
    ) -> Run:
        started = time.monotonic()
        measurement: Measurement | None = None
        try:
            measurement = measure()
            rows = fit(check, measurement.rows)
            outcome = self._judged(check, rows, measurement, before, lifetime=lifetime)
        except (CheckError, TargetError) as error:
            return Run(_at_cost(self.failed(check, error, started=started, facts=facts), measurement))
        except Exception as error:
            log.exception("check crashed", target=self.target.name, check=check.name)
            bug = CheckError(Reason.ERROR, f"internal error in {check.name}: {type(error).__name__}", step="internal")
            return Run(_at_cost(self.failed(check, bug, started=started), measurement))
        if not measurement.rows and measurement.failed:
            first = next(iter(measurement.failed.values()))
            told = CheckError(first.reason, _unseen(measurement), step=first.step, remedy=first.remedy)
            return Run(_at_cost(self.failed(check, told, started=started, facts=facts), measurement))
        memory = reading(check, rows, measurement.read_at, before)
        if check.sampled and before is None and not lifetime and outcome.status is Status.OK and rows:
            outcome = replace(outcome, status=Status.UNKNOWN, reason=Reason.NO_BASELINE, summary=_FIRST_READING)
        now = time.monotonic()
        outcome = replace(
            outcome,
            duration_seconds=now - started,
            finished=now,
            finished_at_seconds=time.time(),
        )
        return Run(_at_cost(outcome, measurement), memory)

    def _judged(
        self, check: Check, rows: tuple[Row, ...], measurement: Measurement, before: Reading | None, *, lifetime: bool
    ) -> Outcome:
        verdict = judge(
            check,
            rows,
            before,
            measurement.read_at,
            lifetime=lifetime,
            ignores=self.target.ignore,
            today=datetime.datetime.now(tz=datetime.UTC).date(),
        )
        status, summary, reason = verdict.status, verdict.summary, None
        if measurement.failed and status.severity < Status.UNKNOWN.severity:
            status, reason = Status.UNKNOWN, next(iter(measurement.failed.values())).reason
            summary = _unseen(measurement)
        if measurement.hidden:
            told = ", ".join(
                f"{name} ({error.reason})" for name, error in list(measurement.hidden.items())[:_MOST_TOLD]
            )
            summary += f"; nothing seen in {len(measurement.hidden)} {measurement.part}s: {told}"
        return Outcome(
            target=self.target.name,
            check=check.name,
            status=status,
            summary=summary,
            reason=reason,
            rows=verdict.rows,
            findings=verdict.findings,
            dropped_rows=int(measurement.truncated),
            lifetime=lifetime and check.sampled,
            # What is hidden for want of a right or of statistics stays so; a lock is gone at the next look.
            partial=bool(measurement.failed) or any(e.reason is Reason.LOCK for e in measurement.hidden.values()),
        )


def _asked_in_vain(error: CheckError | TargetError) -> bool:
    """Whether the server worked for us until it failed: the dearest of all end so. Waiting for a lock is no work."""
    is_asking = isinstance(error, CheckError) and error.step in _ASKING and error.reason is not Reason.LOCK
    return is_asking or error.reason is Reason.TIMEOUT


def _at_cost(outcome: Outcome, measurement: Measurement | None) -> Outcome:
    """With what the server was measured to take. Where a part failed nobody knows its share: all of the run counts."""
    if measurement is None:
        return outcome
    in_vain = any(_asked_in_vain(error) for error in measurement.failed.values())
    return replace(outcome, database_seconds=outcome.duration_seconds if in_vain else measurement.database_seconds)


def _unseen(measurement: Measurement) -> str:
    name, error = next(iter(measurement.failed.items()))
    others = f" (and {len(measurement.failed) - 1} more)" if len(measurement.failed) > 1 else ""
    return f"{measurement.part} {name} could not be looked at{others}: {error}"


def _struck(error: CheckError, check: Check, session: Session) -> CheckError:
    who = "the connection was shut" if isinstance(error, ConnectionLost) else "the query was cancelled"
    text = f"no answer within {check.timeout:g} s at step {session.step}; {who}"
    kind = ConnectionLost if isinstance(error, ConnectionLost) else CheckError
    return kind(Reason.TIMEOUT, text, step=session.step)
