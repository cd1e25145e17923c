"""What the checks propose of adversarial indexes and foreign keys: exactly what must go, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dbwatch.model import Finding, Outcome
from tests.postgres.indexes.asking import asked
from tests.postgres.indexes.conftest import DATABASE, Exhibits

ALL_INDEXES = "index_bytes >= 0"
ALL_KEYS = "relation_bytes >= 0"


def by_schema(outcome: Outcome, *labels: str) -> Mapping[str, frozenset[str]]:
    """What was found in each schema."""
    assert outcome.answered, outcome.summary
    assert not outcome.dropped_rows
    found: defaultdict[str, set[str]] = defaultdict(set)
    for finding in outcome.findings:
        found[finding.labels["schema"]].add(".".join(finding.labels[label] for label in labels))
    return {schema: frozenset(names) for schema, names in found.items()}


def expected(sets: Iterable[tuple[str, frozenset[str]]]) -> Mapping[str, frozenset[str]]:
    return {schema: names for schema, names in sets if names}


def test_there_are_enough_exhibits(exhibits: Exhibits) -> None:
    assert len(exhibits.index_sets) > 80
    assert len(exhibits.foreign_keys) > 45
    assert sum(not (one.duplicate or one.redundant) for one in exhibits.index_sets) > 30


def test_of_twins_one_stays_and_of_others_none_goes(exhibits: Exhibits) -> None:
    outcome = asked(exhibits.server, DATABASE, "duplicate_index", ALL_INDEXES)
    assert by_schema(outcome, "index") == expected((one.schema, one.duplicate) for one in exhibits.index_sets)


def test_what_another_index_covers_goes_and_nothing_else(exhibits: Exhibits) -> None:
    outcome = asked(exhibits.server, DATABASE, "redundant_index", ALL_INDEXES)
    assert by_schema(outcome, "index") == expected((one.schema, one.redundant) for one in exhibits.index_sets)


def test_foreign_keys_without_an_index(exhibits: Exhibits) -> None:
    outcome = asked(exhibits.server, DATABASE, "foreign_key_without_index", ALL_KEYS)
    assert by_schema(outcome, "relation", "constraint") == expected(
        (one.schema, one.reported) for one in exhibits.foreign_keys
    )


def test_all_fixes_can_be_run_and_leave_nothing_to_find(exhibits: Exhibits) -> None:
    server = exhibits.server
    constraints = "select conrelid::regclass::text, contype, conkey from pg_constraint where contype in ('p', 'f', 'x')"
    enforced = set(map(repr, server.sql(constraints, dbname=DATABASE)))
    with server.connect(dbname=DATABASE) as session:
        for name in ("duplicate_index", "redundant_index"):
            for finding in asked(server, DATABASE, name, ALL_INDEXES).findings:
                for statement in statements(finding):
                    session.execute(statement.encode())
        for name in ("duplicate_index", "redundant_index"):
            assert asked(server, DATABASE, name, ALL_INDEXES).findings == ()
        for finding in asked(server, DATABASE, "foreign_key_without_index", ALL_KEYS).findings:
            for statement in statements(finding):
                session.execute(statement.encode())
    assert asked(server, DATABASE, "duplicate_index", ALL_INDEXES).findings == ()
    left = asked(server, DATABASE, "foreign_key_without_index", ALL_KEYS).findings
    # What a partitioned table needs is more than one statement.
    assert {finding.labels["schema"].removeprefix("key ") for finding in left} == {
        "partitioned",
        "from one partitioned table to another",
    }
    assert set(map(repr, server.sql(constraints, dbname=DATABASE))) == enforced


def statements(finding: Finding) -> list[str]:
    """Those of a fix, without its comments, one by one: CONCURRENTLY runs in no transaction."""
    assert finding.fix is not None
    if finding.fix.startswith("-- The index for"):
        return []
    code = finding.fix.split("  -- ")[0].removeprefix("-- When the plans stay good: ")
    return [f"{part};" for part in code.split(";") if part.strip()]
