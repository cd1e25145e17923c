"""Owns what is known of one PostgreSQL target when the steps are put together. Pure; decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.doctor.diagnosis import APPLIES_NOT
from dbwatch.doctor.examine import Look
from dbwatch.doctor.platforms import Platform
from dbwatch.engines.postgres.survey import Survey
from dbwatch.errors import CheckError
from dbwatch.model import Facts, Reason
from dbwatch.template import quoted_ident


@dataclass(frozen=True, slots=True)
class Patient:
    """All that is known of one target."""

    target: Target
    platform: Platform
    facts: Facts
    survey: Survey
    checks: Mapping[str, Check]
    looks: Mapping[str, Look]

    @property
    def user(self) -> str:
        return quoted_ident(self.facts.user) or "CURRENT_USER"

    def wanting(self, reason: Reason) -> Iterator[tuple[Check, CheckError, str]]:
        """The checks that something of this reason keeps from seeing all, with the database ("" for the server)."""
        for name, look in self.looks.items():
            check = self.checks[name]
            if any(error.reason in APPLIES_NOT for error in look.unmet):
                continue
            errors = [("", error) for error in look.unmet]
            if look.error is not None:
                errors.append(("", look.error))
            if look.measurement is not None:
                errors += [*look.measurement.hidden.items(), *look.measurement.failed.items()]
            for database, error in errors:
                if error.reason is reason:
                    yield check, error, database

    def applying(self) -> Iterator[Check]:
        """The checks whose question arises on this server."""
        for name, look in self.looks.items():
            if not any(error.reason in APPLIES_NOT for error in look.unmet):
                yield self.checks[name]
