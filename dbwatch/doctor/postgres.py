"""Owns what a PostgreSQL role lacks and the statements that give it. Pure: examination in, steps out.

One pass must be enough: a check that lacks one right is not run, so what it would lack next is known from the survey.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Scope
from dbwatch.doctor.diagnosis import Step
from dbwatch.doctor.patient import Patient
from dbwatch.doctor.platforms import Platform, setting_change
from dbwatch.doctor.postgres_advice import advice_steps
from dbwatch.doctor.postgres_extensions import STATEMENTS, extension_steps
from dbwatch.doctor.remedies import remedy_steps
from dbwatch.model import Reason
from dbwatch.template import quoted_ident

MEASURING = frozenset(
    {
        "track_activities",
        "track_counts",
        "track_io_timing",
        "track_wal_io_timing",
        "track_cost_delay_timing",
        "track_functions",
        "compute_query_id",
    }
)
"""Settings that only say what the server counts: those may be switched on for a check. Others are the owner's."""

_MONITOR = "pg_monitor"
_READ_ALL = "pg_read_all_data"
_IN_MONITOR = frozenset({_MONITOR, "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables"})
_STATISTICS_PROBES = frozenset({"table_bloat", "index_bloat"})
_DENIED = re.compile(r"permission denied for (\w+) (\S+)")
_SETTING = re.compile(r"(\w+)(?:\s*(!=|=)\s*(\S+))?")


def steps(patient: Patient) -> tuple[Step, ...]:
    """What to do, needed steps first, in an order that works."""
    found = [
        *_privileges(patient),
        *_connects(patient),
        *_settings(patient),
        *extension_steps(patient),
        *remedy_steps(patient),
        *advice_steps(patient.target, patient.platform, patient.facts, patient.survey),
        *_analyzes(patient),
    ]
    return tuple(sorted(found, key=lambda step: not step.needed))


def _privileges(patient: Patient) -> Iterator[Step]:
    wanted: dict[str, list[str]] = {}
    functions: dict[tuple[str, str], list[str]] = {}
    held = patient.facts.privileges
    for check, error, database in patient.wanting(Reason.PRIVILEGE):
        if error.remedy is not None:
            continue
        declared = check.requires.privilege
        denied = _DENIED.search(str(error))
        if declared is not None and declared not in held:
            role = declared
        elif denied is not None and _MONITOR not in held:
            role = _MONITOR
        elif denied is not None and denied[1] == "function":
            functions.setdefault((database or patient.facts.database, denied[2]), []).append(check.name)
            continue
        else:
            role = _READ_ALL
        wanted.setdefault(_MONITOR if role in _IN_MONITOR else role, []).append(check.name)
    if any(one.hidden_tables for one in patient.survey.databases) and _READ_ALL not in held:
        wanted.setdefault(_READ_ALL, []).extend(statistics_readers(patient))
    for role, checks in wanted.items():
        yield _membership(patient, role, _once(checks))
    for (database, function), checks in functions.items():
        yield Step(
            what=f"{patient.facts.user} may not execute {function}",
            why="it is granted to nobody by default",
            needed=True,
            statements=(f"GRANT EXECUTE ON FUNCTION {function} TO {patient.user};",),
            database=database,
            reason=Reason.PRIVILEGE,
            checks=_once(checks),
        )


def _membership(patient: Patient, role: str, checks: tuple[str, ...]) -> Step:
    user, survey = patient.user, patient.survey
    inert = role in survey.memberships and role not in patient.facts.privileges
    what = f"{patient.facts.user} is a member of {role}, but does not inherit from it" if inert else ""
    if patient.facts.major >= 16:
        # From 16 on each membership has its own INHERIT, which NOINHERIT of the role makes false by default.
        option = " WITH INHERIT TRUE" if inert or not survey.inherits else ""
        statements: tuple[str, ...] = (f"GRANT {role} TO {user}{option};",)
    else:
        statements = (f"GRANT {role} TO {user};",)
        if not survey.inherits:
            statements += (f"ALTER ROLE {user} INHERIT;",)
    return Step(
        what=what or f"{patient.facts.user} is not a member of {role}",
        why=_why(patient, role),
        needed=True,
        statements=statements if role != _READ_ALL or patient.facts.major >= 14 else (),
        database=patient.facts.database,
        instead=None if role != _READ_ALL or patient.facts.major >= 14 else f"GRANT SELECT on the tables to {user}",
        reason=Reason.PRIVILEGE,
        checks=checks,
    )


def _why(patient: Patient, role: str) -> str:
    if role == _MONITOR:
        return "the server hides other sessions, settings and counters from everybody else"
    if role != _READ_ALL:
        return "the server shows this to its members only"
    hidden = sum(one.hidden_tables for one in patient.survey.databases)
    count = f" (of {hidden} tables here)" if hidden else ""
    text = (
        f"statistics of columns{count} and positions of sequences show only to roles that may read them; dbwatch reads "
        "no row, but this role then could. table_bloat alone also works with the extension pg_freespacemap everywhere"
    )
    if patient.platform is not Platform.POSTGRESQL:
        text += "; where the provider does not let you grant it, the owner of the tables can GRANT SELECT on them"
    return text


def statistics_readers(patient: Patient) -> list[str]:
    """The checks that live on column statistics."""
    return [
        check.name
        for check in patient.applying()
        if check.probe in _STATISTICS_PROBES or any("pg_catalog.pg_stats" in sql for sql in check.sql.values())
    ]


def _connects(patient: Patient) -> Iterator[Step]:
    checks = tuple(check.name for check in patient.applying() if check.scope is Scope.DATABASE)
    for name in closed_databases(patient):
        database = quoted_ident(name) or name
        yield Step(
            what=f"{patient.facts.user} may not connect to database {name}",
            why="or leave it out on purpose: `databases: {exclude: [...]}` of the target",
            needed=True,
            statements=(f"GRANT CONNECT ON DATABASE {database} TO {patient.user};",),
            database=patient.facts.database,
            reason=Reason.PRIVILEGE,
            checks=checks,
        )
    for one in patient.survey.databases:
        if one.error is not None:
            yield Step(
                what=f"database {one.name} cannot be looked at",
                why=str(one.error),
                needed=True,
                reason=one.error.reason,
                instead=f"pg_hba.conf must let {patient.facts.user} into {one.name}, and the database take connections",
                checks=checks,
            )


def closed_databases(patient: Patient) -> tuple[str, ...]:
    """Databases that we should watch and may not connect to."""
    return tuple(
        name
        for name in patient.survey.closed_databases
        if patient.target.watches_database(name) and name not in patient.platform.own_databases
    )


def _settings(patient: Patient) -> Iterator[Step]:
    known = patient.facts.settings
    wanted: dict[tuple[str, str], list[str]] = {}
    for check, _, _ in patient.wanting(Reason.SETTING):
        if (asked := measuring(check)) is not None:
            wanted.setdefault(asked, []).append(check.name)
    everything = [check.name for check in patient.applying()]
    for name in ("track_activities", "track_counts"):
        if known.get(name) == "off":
            wanted[name, "on"] = everything
    readers = [check.name for check in patient.applying() if check.requires.extension == STATEMENTS]
    if readers and known.get("compute_query_id") == "off":
        wanted["compute_query_id", "auto"] = readers
    if readers and known.get(f"{STATEMENTS}.track") == "none":
        wanted[f"{STATEMENTS}.track", "top"] = readers
    for (name, value), checks in wanted.items():
        change = setting_change(patient.platform, name, value, restart=False)
        yield Step(
            what=f"{name} is {known.get(name, 'unknown')}",
            why="what the server does not count, nobody can read",
            needed=True,
            statements=change.statements,
            database=patient.facts.database,
            instead=change.instead,
            reason=Reason.SETTING,
            checks=_once(checks),
        )


def measuring(check: Check) -> tuple[str, str] | None:
    """The measuring setting that a check needs, and its value; None when it needs none, or one that is not ours."""
    match = _SETTING.fullmatch(check.requires.setting or "")
    if match is None or match[1] not in MEASURING:
        return None
    return match[1], match[3] if match[2] == "=" else "on"


def _analyzes(patient: Patient) -> Iterator[Step]:
    found: dict[str, list[str]] = {}
    for check, error, database in patient.wanting(Reason.STATISTICS):
        if error.remedy is not None:
            continue
        for name in [database] if database else [one.name for one in patient.survey.databases if one.tables]:
            found.setdefault(name, []).append(check.name)
    for database, checks in found.items():
        yield Step(
            what=f"tables of database {database} have no statistics",
            why="never analyzed, or not since they changed much; autovacuum does it by itself after some writes",
            needed=False,
            statements=("ANALYZE;",),
            database=database,
            reason=Reason.STATISTICS,
            checks=_once(checks),
        )


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
