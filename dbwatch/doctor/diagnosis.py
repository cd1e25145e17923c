"""Owns the words of a diagnosis: states of checks, steps that mend, the exit code. Immutable; knows no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.doctor.platforms import Platform
from dbwatch.errors import TargetError
from dbwatch.model import Facts, Reason

EXIT_OK, EXIT_DEGRADED, EXIT_UNREACHABLE = 0, 1, 3


class State(StrEnum):
    """How far a check comes on this server with this role. `off`: the configuration does not want it."""

    RUNS = "runs"
    DEGRADED = "degraded"
    SKIPPED = "skipped"
    FAILED = "failed"
    OFF = "off"


APPLIES_NOT = frozenset({Reason.ROLE, Reason.VERSION, Reason.PLATFORM, Reason.NO_DATABASE})
"""Reasons that nobody can or should mend: the question does not arise on this server."""


@dataclass(frozen=True, slots=True)
class CheckState:
    """One check here. `missing` says that something could be granted, installed or switched on so that it sees more."""

    check: Check
    state: State
    reason: Reason | None = None
    message: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. Statements run in order in `database`, one at a time, as the platform's administrator.

    A `needed` step lets the `checks` see more; the others are advice. `instead` is what to do where no SQL does it.
    `restart` says that the server takes the change at its next start only.
    """

    what: str
    why: str
    needed: bool
    statements: tuple[str, ...] = ()
    database: str = ""
    instead: str | None = None
    restart: bool = False
    reason: Reason | None = None
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything about one target. With an `error` the server could not be asked and there is nothing else."""

    target: Target
    platform: Platform
    facts: Facts | None = None
    checks: tuple[CheckState, ...] = ()
    steps: tuple[Step, ...] = ()
    error: TargetError | None = None

    @property
    def exit_code(self) -> int:
        if self.error is not None:
            return EXIT_UNREACHABLE
        missing = any(step.needed for step in self.steps) or any(one.missing for one in self.checks)
        return EXIT_DEGRADED if missing else EXIT_OK

    def in_state(self, state: State) -> tuple[CheckState, ...]:
        return tuple(one for one in self.checks if one.state is state)


def exit_code(diagnoses: Sequence[Diagnosis]) -> int:
    """The worst: 0 nothing is missing, 1 something is, 3 a server could not be reached."""
    return max((one.exit_code for one in diagnoses), default=EXIT_UNREACHABLE)
