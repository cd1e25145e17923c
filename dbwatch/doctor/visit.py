"""Owns one visit of the doctor: ask a target, judge every check, put the steps together. Never raises for a server."""

from __future__ import annotations

from collections.abc import Mapping

from dbwatch.catalogue import Catalogue, Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.doctor.diagnosis import APPLIES_NOT, CheckState, Diagnosis, State, Step
from dbwatch.doctor.examine import Look, look, opened
from dbwatch.doctor.platforms import Platform
from dbwatch.engines.base import Adapter, Session
from dbwatch.errors import CheckError, Skipped, TargetError
from dbwatch.model import Engine
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog

_SURVEY_SECONDS = 30.0


def visit(
    target: Target, catalogue: Catalogue, adapter: Adapter, watchdog: Watchdog, platform: Platform | None
) -> Diagnosis:
    """The diagnosis of one target. `platform` None: as the server's facts say."""
    try:
        session = opened(target, adapter, watchdog)
    except TargetError as error:
        return Diagnosis(target, platform or Platform.POSTGRESQL, error=error)
    try:
        return _examined(target, catalogue, session, watchdog, platform)
    except CheckError as error:
        return Diagnosis(
            target,
            platform or Platform.of(session.facts.flavour),
            error=TargetError(error.reason, error.step or "", str(error)),
        )
    finally:
        session.close()


def _examined(
    target: Target, catalogue: Catalogue, session: Session, watchdog: Watchdog, platform: Platform | None
) -> Diagnosis:
    wanted = {check.name: check for check in selected(catalogue, target)}
    looks = {name: look(check, session, watchdog) for name, check in wanted.items()}
    facts = session.facts
    place = platform or Platform.of(facts.flavour)
    steps = _steps(target, place, session, wanted, looks, watchdog)
    degrading: dict[str, Step] = {}
    for step in steps:
        if step.needed:
            degrading.update((name, step) for name in step.checks if name not in degrading)
    checks = [
        _state(check, looks[check.name], degrading.get(check.name))
        if check.name in looks
        else CheckState(check, State.OFF, message=_off(check))
        for check in catalogue.of(target.engine)
    ]
    return Diagnosis(target, place, facts, tuple(checks), steps)


def _steps(
    target: Target,
    platform: Platform,
    session: Session,
    wanted: Mapping[str, Check],
    looks: Mapping[str, Look],
    watchdog: Watchdog,
) -> tuple[Step, ...]:
    match target.engine:
        case Engine.POSTGRES:
            from dbwatch.doctor.patient import Patient
            from dbwatch.doctor.postgres import steps as postgres_steps
            from dbwatch.engines.postgres.session import PostgresSession

            assert isinstance(session, PostgresSession)
            deadline = Deadline.after(_SURVEY_SECONDS)
            with watchdog.guarding(session, deadline):
                survey = session.survey(deadline)
            return postgres_steps(Patient(target, platform, session.facts, survey, wanted, looks))
        case Engine.REDIS:
            from dbwatch.doctor.redis import steps as redis_steps

            return redis_steps(session.facts, wanted, looks)
        case _:
            return ()


def _state(check: Check, seen: Look, step: Step | None) -> CheckState:
    """How the check fared; `step` is the first that would let it see more."""
    if seen.unmet:
        # What nobody can mend decides: a check for standbys lacks nothing on a primary.
        first = next((error for error in seen.unmet if error.reason in APPLIES_NOT), seen.unmet[0])
        missing = first.reason not in APPLIES_NOT and step is not None
        return CheckState(check, State.SKIPPED, first.reason, str(first), missing)
    error = seen.error
    if isinstance(error, Skipped):
        return CheckState(check, State.SKIPPED, error.reason, str(error), step is not None)
    if error is not None:
        return CheckState(check, State.FAILED, error.reason, str(error), missing=True)
    measured = seen.measurement
    if measured is not None and (blind := {**measured.failed, **measured.hidden}):
        database, cause = next(iter(blind.items()))
        more = f" and {len(blind) - 1} more" if len(blind) > 1 else ""
        missing = bool(measured.failed) or step is not None
        return CheckState(check, State.DEGRADED, cause.reason, f"sees nothing in {database}{more}: {cause}", missing)
    if step is not None:
        return CheckState(check, State.DEGRADED, step.reason, step.what, missing=True)
    return CheckState(check, State.RUNS)


def _off(check: Check) -> str:
    if check.on_demand:
        return f"runs only when named: dbwatch check --check {check.name}"
    return "the configuration does not want it, or its profile is above the target's"
