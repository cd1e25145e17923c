"""Owns what an index is, as far as it decides whether another can take its place. Knows no query and no check.

Two definitions are compared by the catalogue's own words, never by the text of CREATE INDEX: the same words may mean
different columns, and the same index may be worded differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

_SHAPED_BY_OPTIONS = frozenset({"btree", "hash", "gist", "gin", "spgist"})
"""Access methods whose storage parameters say how to store, not what: fillfactor makes no other index of it."""

_REVERSED = 3
"""DESC and NULLS FIRST are two bits; scanned backwards, both are the other way round."""

Columns: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """A usable index. `keys` and `included` are column numbers, 0 where a key is an expression.

    `expressions` and `predicate` are the server's parse trees without what does not matter (positions, cast styles);
    all tuples go with `keys`, one entry a key.
    """

    oid: int
    table_oid: int
    schema: str
    relation: str
    index: str
    access_method: str
    keys: Columns
    included: frozenset[int]
    operator_classes: tuple[int, ...]
    operator_class_options: tuple[str | None, ...]
    collations: tuple[int, ...]
    directions: tuple[int, ...]
    expressions: str
    predicate: str | None
    storage_options: str
    is_unique: bool
    is_immediate: bool
    is_nulls_not_distinct: bool
    is_primary: bool
    is_exclusion: bool
    exclusion_operators: str | None
    is_initially_deferred: bool
    is_replica_identity: bool
    is_clustered: bool
    is_partitioned: bool
    is_attached: bool
    is_referenced: bool
    constraint: str | None
    index_bytes: float
    scans: int

    @property
    def twin_key(self) -> tuple[object, ...]:
        """Equal for two indexes that are the same in everything a query, a writer or a constraint could notice."""
        return (
            *self._scan_key,
            self.is_unique,
            self.is_immediate,
            self.is_nulls_not_distinct,
            self.is_exclusion,
            self.exclusion_operators,
            self.is_initially_deferred,
        )

    @property
    def is_replaceable(self) -> bool:
        """True when nothing but scans needs it: it enforces nothing, and it can be dropped by itself."""
        return not (
            self.is_unique
            or self.is_exclusion
            or self.is_replica_identity
            or self.is_clustered
            or self.is_attached
            or self.constraint is not None
        )

    @property
    def extent(self) -> int:
        """How many columns it stores."""
        return len(self.keys) + len(self.included)

    def is_covered_by(self, wide: IndexDefinition) -> bool:
        """True when every scan of this one could be a scan of `wide`. Each may cover the other."""
        if self.table_oid != wide.table_oid or self.predicate != wide.predicate:
            return False
        if self._scan_key == wide._scan_key:
            return True
        return self.access_method == wide.access_method == "btree" and self._leads(wide)

    def _leads(self, wide: IndexDefinition) -> bool:
        """True when these keys are the first of the other's, read in one direction, and nothing else is missing."""
        count = len(self.keys)
        columns = self.keys, self.operator_classes, self.operator_class_options, self.collations
        others = wide.keys, wide.operator_classes, wide.operator_class_options, wide.collations
        return (
            all(mine == theirs[:count] for mine, theirs in zip(columns, others, strict=True))
            and self.directions in (wide.directions[:count], tuple(one ^ _REVERSED for one in wide.directions[:count]))
            and f"{wide.expressions} ".startswith(f"{self.expressions} ".lstrip())
            and self.included <= wide.included.union(wide.keys)
        )

    @property
    def _scan_key(self) -> tuple[object, ...]:
        """Equal for two indexes that answer the same scans alike."""
        return (
            self.table_oid,
            self.access_method,
            self.keys,
            self.included,
            self.operator_classes,
            self.operator_class_options,
            self.collations,
            self.directions,
            self.expressions,
            self.predicate,
            "" if self.access_method in _SHAPED_BY_OPTIONS else self.storage_options,
        )
