"""Owns what the table of releases says of a PostgreSQL server. Judges nothing, asks no server and no network."""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines import versions
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.releases import known_releases
from dbwatch.model import RawRow

_PRODUCT = "postgresql"


def version_outdated(context: ProbeContext) -> Sequence[RawRow]:
    """The minor releases this server has missed, and how old that knowledge is."""
    facts = context.facts
    row = versions.outdated_row(known_releases(_PRODUCT), facts.version, facts.version_text, versions.today())
    return ({name: value for name, value in row.items() if name in context.check.columns},)


def version_unsupported(context: ProbeContext) -> Sequence[RawRow]:
    """How long this server's major is still supported."""
    facts = context.facts
    row = versions.unsupported_row(known_releases(_PRODUCT), facts.version, facts.version_text, versions.today())
    return ({name: value for name, value in row.items() if name in context.check.columns},)
