"""Owns the steps that checks name themselves: a right on one function, an extension they can also live with. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbwatch.doctor.diagnosis import Step
from dbwatch.doctor.patient import Patient
from dbwatch.doctor.platforms import Platform
from dbwatch.errors import CheckError
from dbwatch.model import Reason

_NEEDED = frozenset({Reason.PRIVILEGE, Reason.EXTENSION})
_REASONS = (Reason.PRIVILEGE, Reason.EXTENSION, Reason.STATISTICS, Reason.SETTING)
_STATEMENT = re.compile(r"(GRANT|ALTER|CREATE|ANALYZE|VACUUM|SELECT)\b", re.IGNORECASE)


def remedy_steps(patient: Patient) -> Iterator[Step]:
    """One step a remedy and database, with all checks that name it."""
    found: dict[tuple[str, str], tuple[CheckError, list[str]]] = {}
    for reason in _REASONS:
        for check, error, database in patient.wanting(reason):
            if error.remedy is not None:
                place = database or patient.facts.database
                found.setdefault((place, error.remedy), (error, []))[1].append(check.name)
    for (database, remedy), (error, checks) in found.items():
        is_statement = _STATEMENT.match(remedy) is not None
        yield Step(
            what=str(error),
            why="the check knows no other way",
            needed=is_statement and error.reason in _NEEDED and _is_possible(patient.platform, remedy),
            statements=(remedy,) if is_statement else (),
            database=database if is_statement else "",
            instead=None if is_statement else remedy,
            reason=error.reason,
            checks=tuple(dict.fromkeys(checks)),
        )


def _is_possible(platform: Platform, remedy: str) -> bool:
    """Functions of the server itself belong to its superuser, whom a provider keeps."""
    return platform is Platform.POSTGRESQL or "ON FUNCTION pg_catalog." not in remedy
