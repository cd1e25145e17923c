"""Owns what a PostgreSQL role has too much of, and what would make diagnosis easier. Nothing here is needed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dbwatch.config import Target
from dbwatch.doctor.diagnosis import Step
from dbwatch.doctor.platforms import Platform, setting_change
from dbwatch.engines.postgres.survey import Survey
from dbwatch.model import Facts
from dbwatch.template import quoted_ident
from dbwatch.units import bytes_text, duration_text

_LEAST_QUERY_BYTES = 4096
_LEAST_CONNECTIONS = 3
_SOON_SECONDS = 30 * 86_400


def advice_steps(target: Target, platform: Platform, facts: Facts, survey: Survey) -> Iterator[Step]:
    """Advice about the role, the way to the server and the server's counting."""
    yield from _role(facts, survey)
    if survey.pooled:
        yield Step(
            what=f"a pooler stands between dbwatch and the server ({target.address})",
            why="connect times and refusals are then the pooler's, and a session of ours may wait for one of its own",
            needed=False,
            instead="give the target the server's own address; watch the pooler as a target of its own",
        )
    guarded = sum(one.guarded_tables for one in survey.databases)
    if guarded and not facts.is_superuser:
        yield Step(
            what=f"{guarded} tables have row security for {facts.user}",
            why="their column statistics stay hidden, so bloat there is not estimated; only BYPASSRLS would show them",
            needed=False,
        )
    yield from _counting(platform, facts)


def _role(facts: Facts, survey: Survey) -> Iterator[Step]:
    user = quoted_ident(facts.user) or "CURRENT_USER"
    if facts.is_superuser:
        yield Step(
            what=f"{facts.user} is a superuser",
            why="dbwatch never needs it: a stolen password of the monitor would be the whole server",
            needed=False,
            instead="dbwatch grants --user dbwatch  # prints the set-up of a role that sees all and may do nothing",
        )
    elif survey.excess:
        yield Step(
            what=f"{facts.user} has {', '.join(survey.excess)}",
            why="dbwatch needs none of them",
            needed=False,
            statements=(f"ALTER ROLE {user} {' '.join(f'NO{name}' for name in survey.excess)};",),
            database=facts.database,
        )
    if 0 <= survey.connection_limit < _LEAST_CONNECTIONS and not facts.is_superuser:
        yield Step(
            what=f"{facts.user} may open {survey.connection_limit} connections",
            why="it holds one, opens a second for other databases, and proves with a third that the server takes one",
            needed=False,
            statements=(f"ALTER ROLE {user} CONNECTION LIMIT 5;",),
            database=facts.database,
        )
    if survey.valid_seconds is not None and survey.valid_seconds < _SOON_SECONDS:
        yield Step(
            what=f"the password of {facts.user} ends in {duration_text(max(0.0, survey.valid_seconds))}",
            why="from then on every login fails",
            needed=False,
            statements=(f"ALTER ROLE {user} VALID UNTIL 'infinity';",),
            database=facts.database,
        )


def _counting(platform: Platform, facts: Facts) -> Iterator[Step]:
    if facts.settings.get("track_io_timing") == "off":
        change = setting_change(platform, "track_io_timing", "on", restart=False)
        yield Step(
            what="track_io_timing is off",
            why="nobody can tell how long reads and writes take; pg_test_timing shows what it costs",
            needed=False,
            statements=change.statements,
            database=facts.database,
            instead=change.instead,
        )
    size = facts.settings.get("track_activity_query_size", "")
    if size.isdigit() and int(size) < _LEAST_QUERY_BYTES:
        change = setting_change(platform, "track_activity_query_size", str(_LEAST_QUERY_BYTES), restart=True)
        yield Step(
            what=f"track_activity_query_size is {bytes_text(int(size))}",
            why="pg_stat_activity cuts texts there, so that the statement to be found in a diagnosis has no end",
            needed=False,
            statements=change.statements,
            database=facts.database,
            instead=change.instead,
            restart=True,
        )
