"""Owns holding a server's version against the table of releases. Judges nothing, asks no server and no network."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.releases import Releases, known_releases, missed_by
from dbwatch.errors import Skipped
from dbwatch.model import Facts, RawRow, Reason

_OLD_TABLE = datetime.timedelta(days=180)


def version_outdated(context: ProbeContext) -> Sequence[RawRow]:
    """The minor releases this server has missed, and how old that knowledge is."""
    return (outdated_row(known_releases(), context.facts, _today()),)


def version_unsupported(context: ProbeContext) -> Sequence[RawRow]:
    """How long this server's major is still supported."""
    return (unsupported_row(known_releases(), context.facts, _today()),)


def outdated_row(table: Releases, facts: Facts, today: datetime.date) -> RawRow:
    """One row of `version_outdated`."""
    missed = missed_by(table, facts.version)
    security = sum(release.security for release in missed.releases)
    return {
        "newer_releases": len(missed.releases),
        "table_age_seconds": _seconds(today - table.as_of),
        "overdue_seconds": _seconds(today - missed.since) if missed.since is not None else None,
        "vulnerable_seconds": _seconds(today - missed.security_since) if missed.security_since is not None else None,
        "security_releases": security,
        "corruption_releases": len(missed.corruptions),
        "version": facts.version_text,
        "newest": missed.newest,
        "told": _outdated_text(table, facts, today, missed.newest, len(missed.releases), security, missed.corruptions),
    }


def unsupported_row(table: Releases, facts: Facts, today: datetime.date) -> RawRow:
    """One row of `version_unsupported`. Raises Skipped for a major the table does not have."""
    major = table.majors.get(facts.major)
    if major is None:
        raise Skipped(Reason.VERSION, f"PostgreSQL {facts.major} is not in the table of releases of {table.as_of}")
    left = major.supported_until - today
    newest = max(table.majors)
    if left.days < 0:
        told = f"PostgreSQL {facts.major} had its last release on {major.supported_until} and gets no fixes any more"
    else:
        told = f"PostgreSQL {facts.major} has its last release on {major.supported_until}, in {left.days} days"
    return {
        "support_left_seconds": _seconds(left),
        "version": facts.version_text,
        "newest_major": newest,
        "told": f"{told}; {newest} is supported until {table.majors[newest].supported_until}",
    }


def _outdated_text(
    table: Releases,
    facts: Facts,
    today: datetime.date,
    newest: str | None,
    missed: int,
    security: int,
    corruptions: Sequence[str],
) -> str:
    parts: list[str] = []
    if newest is None:
        parts.append(f"no release newer than {facts.version_text} is known as of {table.as_of}")
    else:
        fixing = ""
        if security:
            fixing = f", {security} of them with security fixes" if missed > 1 else ", with security fixes"
        parts.append(f"{facts.version_text} is {missed} minor release{'s' * (missed > 1)} behind {newest}{fixing}")
    parts += corruptions
    if today - table.as_of > _OLD_TABLE:
        parts.append(f"dbwatch knows the releases up to {table.as_of} only, update it")
    return "; ".join(parts)


def _today() -> datetime.date:
    return datetime.datetime.now(tz=datetime.UTC).date()


def _seconds(span: datetime.timedelta) -> float:
    return span.total_seconds()
