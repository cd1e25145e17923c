"""Owns the version checks of PgBouncer, which has its releases in the table. Judges nothing."""

from __future__ import annotations

from dbwatch.engines.pgbouncer.probe import ProbeContext, Rows
from dbwatch.engines.releases import known_releases
from dbwatch.engines.versions import outdated_row, today, unsupported_row

_PRODUCT = "pgbouncer"


def outdated(context: ProbeContext) -> Rows:
    facts = context.facts
    return (outdated_row(known_releases(_PRODUCT), facts.version, facts.version_text, today()),)


def unsupported(context: ProbeContext) -> Rows:
    facts = context.facts
    return (unsupported_row(known_releases(_PRODUCT), facts.version, facts.version_text, today()),)
