"""Owns which extensions a PostgreSQL server and its databases lack for the checks, and how they get there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Scope
from dbwatch.doctor.diagnosis import Step
from dbwatch.doctor.patient import Patient
from dbwatch.doctor.platforms import extension_change, preload_change
from dbwatch.model import Reason
from dbwatch.template import quoted_ident

STATEMENTS = "pg_stat_statements"
_PRELOADED = frozenset({STATEMENTS})


def extension_steps(patient: Patient) -> Iterator[Step]:
    """What to load and to create for the checks that apply."""
    wanted: dict[str, list[Check]] = {}
    for check in patient.applying():
        if check.requires.extension is not None:
            wanted.setdefault(check.requires.extension, []).append(check)
    for name, checks in wanted.items():
        if name in _PRELOADED and not _loaded(patient, name):
            change = preload_change(patient.platform, name, patient.facts.settings.get("shared_preload_libraries"))
            yield Step(
                what=f"the library {name} is not loaded",
                why="it counts only when the server loads it at its start",
                needed=True,
                statements=change.statements,
                database=patient.facts.database,
                instead=change.instead,
                restart=True,
                reason=Reason.EXTENSION,
                checks=_names(checks),
            )
        everywhere = any(check.scope is Scope.DATABASE for check in checks)
        for database in patient.survey.databases if everywhere else [patient.survey.database(patient.facts.database)]:
            if database is not None and database.error is None:
                yield from _extension(patient, name, database.name, checks)


def _extension(patient: Patient, name: str, database: str, checks: Sequence[Check]) -> Iterator[Step]:
    survey = patient.survey.database(database)
    offer = survey.extensions.get(name) if survey is not None else None
    quoted = quoted_ident(name) or name
    if offer is None or (offer.installed is None and offer.offered is None):
        yield Step(
            what=f"the extension {name} is not on the server",
            why="its files are missing",
            needed=True,
            instead=f"install the package that has {name} (postgresql-contrib), or ask the provider for it",
            reason=Reason.EXTENSION,
            checks=_names(checks),
        )
    elif offer.installed is None:
        yield Step(
            what=f"the extension {name} is not in database {database}",
            why="its functions are where CREATE EXTENSION puts them",
            needed=True,
            statements=(f"CREATE EXTENSION IF NOT EXISTS {quoted};",),
            database=database,
            instead=extension_change(patient.platform, name).instead,
            reason=Reason.EXTENSION,
            checks=_names(checks),
        )
    elif offer.behind:
        yield Step(
            what=f"the extension {name} is at {offer.installed} in database {database}, the server has {offer.offered}",
            why="an older version shows fewer columns; an upgrade of the server leaves it behind",
            needed=True,
            statements=(f"ALTER EXTENSION {quoted} UPDATE;",),
            database=database,
            reason=Reason.EXTENSION,
            checks=_names(checks),
        )


def _loaded(patient: Patient, name: str) -> bool:
    settings = patient.facts.settings
    listed = settings.get("shared_preload_libraries", "")
    return name in patient.platform.preloads or f"{name}.max" in settings or name in listed


def _names(checks: Iterable[Check]) -> tuple[str, ...]:
    return tuple(check.name for check in checks)
