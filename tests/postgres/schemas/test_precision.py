"""The advice of the catalogue on three large, well-kept schemas: exactly what was planted, and nothing else.

Each application has at least 150 tables with what real ones have: partitions, inheritance, views, enums, domains,
row-level security, triggers, extensions, names that need quotes. What is planted is true by hand: the comment beside
each plant says why. Rules about one database are judged here; those about the server would judge the test's server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Scope
from dbwatch.config.loader import zero_config
from dbwatch.engines import Engines
from dbwatch.lanes import Lane
from dbwatch.model import Outcome, Reason, Status
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.conftest import wanted_majors
from tests.harness.postgres import Postgres
from tests.harness.sessions import identifier
from tests.postgres.schemas.applications import APPLICATIONS, Application

ROLE = "lint_monitor"
GROUPS = ("schema", "security", "config", "indexes")
EXTENSIONS = ("btree_gist", "pg_trgm", "citext", "ltree", "hstore")
# Where the fix only shows what has to be decided; and children that a parent's new key leaves without one.
LEFT_TO_DECIDE = {
    ("duplicate_foreign_key", "Träcker.risks.risks level again"),
    ("policy_always_true", "Träcker.goals.for_all"),
    ("policy_always_true", "forum.searches.open_to_all"),
    ("table_without_primary_key", "forum.raw_mails_old"),
    ("table_without_primary_key", "shop.Bewegungen für €"),
    ("tenant_table_without_rls", 'Träcker.Notizen "Ü" 2.organization_id'),
    ("tenant_table_without_rls", "Träcker.meters.organization_id"),
    ("unsuitable_type", "forum.polls.closes_daily"),
}
# They wait for a month of counters, which the test's server has not.
WITHOUT_WAITING = {
    "low_selectivity_index": "rarest_ratio >= 10% and index_bytes > 10MiB and (scans == 0 or scan_ratio > 10%)",
    "tiny_table_index": "scans == 0",
}
MAJORS = sorted({min(wanted_majors()), max(wanted_majors())})
# PostgreSQL 14 lets everybody create in public until somebody takes it away, as careful teams do.
_HARDEN = "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
Found = Counter[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A server with all applications, by now with the plants; and what was found before."""

    server: Postgres
    kept: Mapping[str, Found]


@pytest.fixture(scope="module", params=MAJORS)
def judged(request: pytest.FixtureRequest) -> Iterator[Judged]:
    with Postgres(request.param, settings=_SETTINGS, name=f"schemas{request.param}") as server:
        server.sql("CREATE ROLE lint_web; CREATE ROLE lint_staff")
        server.create_monitor_role(ROLE, grants=("pg_monitor", "pg_read_all_data"))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda application: _build(server, application), APPLICATIONS))
        kept = {application.folder: _findings(server, application) for application in APPLICATIONS}
        for application in APPLICATIONS:
            server.sql(application.planting, dbname=application.database)
            server.sql("ANALYZE", dbname=application.database)
        yield Judged(server, kept)


def _build(server: Postgres, application: Application) -> None:
    name = application.database
    server.create_database(name)
    server.sql(_HARDEN, dbname=name)
    for extension in EXTENSIONS:
        server.sql(f"CREATE EXTENSION {identifier(extension)} SCHEMA public", dbname=name)
    server.sql(application.ddl, dbname=name)
    server.sql("ANALYZE", dbname=name)


def _lane(server: Postgres, dbname: str, *, opinions: bool) -> tuple[Lane, list[Check], Watchdog]:
    """The rules of the catalogue that judge one database: those on by default, or the opinions of group schema."""
    config = zero_config([server.url(ROLE, dbname)], environ={})
    enable = ("group:schema",) if opinions else ()
    target = replace(config.targets[0], include_databases=(dbname,), enable=enable)
    groups = ("schema",) if opinions else GROUPS
    checks = [
        check.with_levels({Status.WARNING: WITHOUT_WAITING[check.name]}) if check.name in WITHOUT_WAITING else check
        for check in selected(config.catalogue, target)
        if check.group in groups and check.scope is Scope.DATABASE and check.enabled is not opinions
    ]
    assert checks
    watchdog = Watchdog()
    return Lane(target, Engines().adapter(target.engine), checks, Store(), watchdog), checks, watchdog


def _outcomes(server: Postgres, application: Application, *, opinions: bool = False) -> Iterator[Outcome]:
    """What each rule says about the application, that could be asked."""
    lane, checks, watchdog = _lane(server, application.database, opinions=opinions)
    try:
        for check in checks:
            outcome = lane.run(check.name)
            if check.sampled:
                outcome = lane.run(check.name)
            if outcome.status is Status.SKIPPED:
                assert outcome.reason in (Reason.VERSION, Reason.EXTENSION, Reason.SETTING, Reason.STATISTICS), outcome
                continue
            assert outcome.status is not Status.UNKNOWN, outcome
            assert outcome.dropped_rows == 0, outcome
            yield outcome
    finally:
        lane.close()
        watchdog.close()


def _findings(server: Postgres, application: Application, *, opinions: bool = False) -> Found:
    """(check, key without the database) of all that the rules say about the application."""
    prefix = application.database + "."
    keys = [
        (outcome.check, finding.key)
        for outcome in _outcomes(server, application, opinions=opinions)
        for finding in outcome.findings
    ]
    assert all(key.startswith(prefix) for _, key in keys), keys
    return Counter((check, key.removeprefix(prefix)) for check, key in keys)


def _counted(expected: Mapping[str, frozenset[str]]) -> Found:
    return Counter((check, key) for check, keys in expected.items() for key in keys)


def test_the_schemas_are_as_large_as_real_ones(judged: Judged) -> None:
    asked = "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    for application in APPLICATIONS:
        assert judged.server.sql(asked, dbname=application.database)[0][0] >= 150, application.folder


def test_the_advice_is_what_was_planted_and_nothing_else(judged: Judged) -> None:
    findings, true = Counter[str](), Counter[str]()
    wrong: list[str] = []
    for application in APPLICATIONS:
        kept = judged.kept[application.folder]
        wrong += [f"{application.folder}, well kept: {check} says {key}" for check, key in sorted(kept)]
        found, expected = _findings(judged.server, application), _counted(application.planted)
        wrong += _differences(application, found - kept, expected)
        findings.update(check for check, _ in found.elements())
        true.update(check for check, _ in (found & expected).elements())
    print("\n" + _table(judged.server.major, findings, true))
    assert not wrong, "\n".join(wrong)


def test_the_opinions_are_true_as_well(judged: Judged) -> None:
    """Each name in `opinions` breaks the convention it is listed for, and no other does."""
    if judged.server.major != max(MAJORS):
        pytest.skip("one major is enough for rules that are off by default")
    wrong: list[str] = []
    for application in APPLICATIONS:
        found = _findings(judged.server, application, opinions=True)
        wrong += _differences(application, found, _counted(application.opinions))
    assert not wrong, "\n".join(wrong)


def test_every_fix_can_be_pasted_and_what_it_mends_is_mended(judged: Judged) -> None:
    """Last, since it changes the schemas."""
    left: set[tuple[str, str]] = set()
    for application in APPLICATIONS:
        for outcome in _outcomes(judged.server, application):
            for finding in outcome.findings:
                assert finding.fix is not None, finding
                for statement in finding.fix.splitlines():
                    judged.server.sql(statement, dbname=application.database)
        left |= set(_findings(judged.server, application))
    assert left == LEFT_TO_DECIDE


def _differences(application: Application, found: Found, expected: Found) -> list[str]:
    said = [f"{application.folder}: {check} says {key}" for check, key in sorted(found - expected)]
    return said + [f"{application.folder}: {check} misses {key}" for check, key in sorted(expected - found)]


def _table(major: int, findings: Counter[str], true: Counter[str]) -> str:
    lines = [
        f"PostgreSQL {major}: {len(APPLICATIONS)} applications",
        f"{'rule':34} {'findings':>8} {'true':>5} precision",
    ]
    for check, count in sorted(findings.items()):
        lines.append(f"{check:34} {count:8} {true[check]:5} {true[check] / count:9.0%}")
    lines.append(f"{'all':34} {findings.total():8} {true.total():5}")
    return "\n".join(lines)
