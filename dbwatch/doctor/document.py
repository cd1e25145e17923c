"""Owns the doctor's report as JSON: schema_version 1, additive changes only. Knows no terminal."""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch import __version__
from dbwatch.doctor.diagnosis import EXIT_DEGRADED, EXIT_OK, CheckState, Diagnosis, Step, exit_code
from dbwatch.doctor.words import version_text
from dbwatch.report.document import document_text
from dbwatch.report.scalars import JsonValue

SCHEMA_VERSION = 1
_STATUS = {EXIT_OK: "ok", EXIT_DEGRADED: "degraded"}


def render_json(diagnoses: Sequence[Diagnosis]) -> str:
    """The report, ending in a newline."""
    return document_text(
        {
            "schema_version": SCHEMA_VERSION,
            "dbwatch_version": __version__,
            "status": _STATUS.get(exit_code(diagnoses), "unreachable"),
            "targets": [_target(one) for one in diagnoses],
        }
    )


def _target(one: Diagnosis) -> dict[str, JsonValue]:
    facts, error = one.facts, one.error
    return {
        "target": one.target.name,
        "engine": str(one.target.engine),
        "address": one.target.address,
        "status": _STATUS.get(one.exit_code, "unreachable"),
        "reason": str(error.reason) if error is not None else None,
        "message": str(error) if error is not None else None,
        "platform": str(one.platform),
        "administrator": one.platform.administrator,
        "server": None
        if facts is None
        else {"version": facts.version_text, "role": str(facts.role), "flavour": facts.flavour},
        "user": facts.user if facts is not None else None,
        "superuser": facts.is_superuser if facts is not None else None,
        "steps": [_step(step) for step in one.steps],
        "checks": [_check(state) for state in one.checks],
    }


def _step(step: Step) -> dict[str, JsonValue]:
    return {
        "what": step.what,
        "why": step.why,
        "needed": step.needed,
        "reason": str(step.reason) if step.reason is not None else None,
        "statements": list(step.statements),
        "database": step.database or None,
        "instead": step.instead,
        "restart": step.restart,
        "checks": list(step.checks),
    }


def _check(state: CheckState) -> dict[str, JsonValue]:
    check, requires = state.check, state.check.requires
    return {
        "check": check.name,
        "group": check.group,
        "state": str(state.state),
        "reason": str(state.reason) if state.reason is not None else None,
        "message": state.message or None,
        "missing": state.missing,
        "needs": {
            "role": str(requires.role) if requires.role is not None else None,
            "version": version_text(check),
            "flavour": requires.flavour,
            "privilege": requires.privilege,
            "extension": requires.extension,
            "setting": requires.setting,
            "lock": str(check.lock),
            "cost": str(check.cost),
            "scope": str(check.scope),
            "every_seconds": check.every,
            "timeout_seconds": check.timeout,
        },
    }
