"""Owns saying which indexes are one too many, and the statement that drops each. The rule is `indexes.redundancy`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dbwatch.engines.postgres.indexes.reading import read_definitions, read_twins
from dbwatch.engines.postgres.indexes.redundancy import Surplus, covered, twins
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.seldom import ANY_INDEX, has
from dbwatch.model import RawRow
from dbwatch.template import quoted_ident


def duplicate_index(context: ProbeContext) -> Sequence[RawRow]:
    """One row an index that is the same as another one, which stays; the largest first."""
    return _rows(context, twins(read_twins(context.fetch))) if has(context, ANY_INDEX) else ()


def redundant_index(context: ProbeContext) -> Sequence[RawRow]:
    """One row an index that another one covers; the largest first."""
    if not has(context, ANY_INDEX):
        return ()
    return [
        {
            **row,
            "sure": 0 if surplus.doubts else 1,
            "judgement": "may be" if surplus.doubts else "is",
            "doubts": f" ({', '.join(surplus.doubts)})" if surplus.doubts else "",
        }
        for row, surplus in _paired(context, covered(read_definitions(context.fetch)))
    ]


def _rows(context: ProbeContext, found: Iterable[Surplus]) -> Sequence[RawRow]:
    return [row for row, _ in _paired(context, found)]


def _paired(context: ProbeContext, found: Iterable[Surplus]) -> list[tuple[RawRow, Surplus]]:
    largest_first = sorted(found, key=lambda surplus: (-surplus.index.index_bytes, surplus.index.oid))
    return [(_row(context, surplus), surplus) for surplus in largest_first[: context.check.limit]]


def _row(context: ProbeContext, surplus: Surplus) -> RawRow:
    index = surplus.index
    return {
        "database": context.facts.database,
        "schema": index.schema,
        "relation": index.relation,
        "index": index.index,
        "index_bytes": index.index_bytes,
        "scans": index.scans,
        "kept": surplus.kept.index,
        "kept_bytes": surplus.kept.index_bytes,
        "kept_scans": surplus.kept.scans,
        "remedy": _remedy(context.facts.database, surplus),
    }


def _remedy(database: str, surplus: Surplus) -> str | None:
    """The statements that drop it, after those that hand over what it is for; None when a name cannot be written."""
    index, kept = surplus.index, surplus.kept
    names = (index.schema, index.relation, index.index, kept.index, database, index.constraint or index.index)
    quoted = [name for name in map(quoted_ident, names) if name is not None]
    if len(quoted) < len(names):
        return None
    schema, relation, dropped, stays, where, constraint = quoted
    statements = " ".join(_statements(surplus, f"{schema}.{relation}", f"{schema}.{dropped}", stays, constraint))
    # What needs a look first does nothing when it is pasted.
    first = "-- When the plans stay good: " if surplus.doubts else ""
    return f"{first}{statements}  -- in database {where}; {stays} stays{_condition(surplus, stays)}"


def _statements(surplus: Surplus, table: str, dropped: str, stays: str, constraint: str) -> Iterator[str]:
    index = surplus.index
    if index.is_replica_identity:
        yield f"ALTER TABLE {table} REPLICA IDENTITY USING INDEX {stays};"
    if index.is_clustered:
        yield f"ALTER TABLE {table} CLUSTER ON {stays};"
    if index.constraint is not None:
        yield f"ALTER TABLE {table} DROP CONSTRAINT {constraint};"
    else:
        yield f"{'DROP INDEX' if index.is_partitioned else 'DROP INDEX CONCURRENTLY'} {dropped};"


def _condition(surplus: Surplus, stays: str) -> str:
    if not surplus.index.is_referenced:
        return ""
    return f"; drop the foreign keys that refer to it first and add them again after it, then they use {stays}"
