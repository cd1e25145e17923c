"""Owns which index of a table is one too many, so that what is proposed can be dropped together. Pure.

Of twins all but one; of the others each that a remaining one covers. Whatever is proposed is covered by an index that
is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from dbwatch.engines.postgres.indexes.definition import IndexDefinition

_MUCH_FATTER = 3.0
_MANY_COLUMNS = 2
_HOT_SCANS = 10_000


@dataclass(frozen=True, slots=True)
class Surplus:
    """An index that can go because `kept` stays; `doubts` say why somebody should look first."""

    index: IndexDefinition
    kept: IndexDefinition
    doubts: tuple[str, ...] = ()


def twins(definitions: Iterable[IndexDefinition]) -> Iterator[Surplus]:
    """Of indexes that are the same, all but the one that is needed most, or else the oldest."""
    for same in _same(definitions):
        kept = max(same, key=_need)
        # A primary key is never the one to go, and a part of a partitioned index cannot go alone.
        yield from (Surplus(one, kept) for one in same if one is not kept and not (one.is_primary or one.is_attached))


def covered(definitions: Sequence[IndexDefinition]) -> Iterator[Surplus]:
    """Every index that another one covers, without the twins, which are the other question."""
    gone = {one.index.oid for one in twins(definitions)}
    left = sorted((one for one in definitions if one.oid not in gone), key=lambda one: one.table_oid)
    for _, table in groupby(left, key=lambda one: one.table_oid):
        yield from _covered_of(tuple(table))


def _covered_of(table: Sequence[IndexDefinition]) -> Iterator[Surplus]:
    wider = {one.oid: [wide for wide in table if _gives_way(one, wide)] for one in table if one.is_replaceable}
    for narrow in table:
        # Covering is transitive, so one of those that cover is not covered itself.
        staying = [wide for wide in wider.get(narrow.oid, ()) if not wider.get(wide.oid)]
        if staying:
            kept = min(staying, key=lambda wide: (wide.index_bytes, wide.extent, wide.oid))
            yield Surplus(narrow, kept, tuple(_doubts(narrow, kept)))


def _gives_way(narrow: IndexDefinition, wide: IndexDefinition) -> bool:
    if narrow.oid == wide.oid or not narrow.is_covered_by(wide):
        return False
    either = wide.is_replaceable and wide.is_covered_by(narrow)
    return not either or _need(wide) > _need(narrow)


def _doubts(narrow: IndexDefinition, wide: IndexDefinition) -> Iterator[str]:
    if wide.index_bytes > _MUCH_FATTER * narrow.index_bytes:
        yield f"{wide.index} is {wide.index_bytes / narrow.index_bytes:.0f} times its size"
    if wide.extent - narrow.extent > _MANY_COLUMNS:
        yield f"{wide.index} has {wide.extent - narrow.extent} more columns"
    if narrow.scans > _HOT_SCANS and narrow.scans > wide.scans and wide.extent > narrow.extent:
        yield f"it is scanned more often than {wide.index}"


def _same(definitions: Iterable[IndexDefinition]) -> Iterator[Sequence[IndexDefinition]]:
    by_key: dict[tuple[object, ...], list[IndexDefinition]] = {}
    for one in definitions:
        by_key.setdefault(one.twin_key, []).append(one)
    return (same for same in by_key.values() if len(same) > 1)


def _need(one: IndexDefinition) -> tuple[bool | int, ...]:
    """Greatest for what is hardest to do without; then the oldest, so that the answer does not change by itself."""
    return (
        one.is_attached,
        one.is_primary,
        one.is_referenced,
        one.constraint is not None,
        one.is_replica_identity,
        one.is_clustered,
        -one.oid,
    )
