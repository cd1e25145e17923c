"""Owns the words of the bloat estimators: what is asked, what is answered, how it was known or why it is not.

No SQL, no arithmetic, no I/O. "Unknown is not zero": a row without an answer carries `None` and its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MIN_PAGES = 128
"""Smaller relations are not listed: percentages of them are noise and their bytes do not matter."""


class Fetch(Protocol):
    """Runs `select * from (<sql>) as q limit <limit>` in the caller's read-only transaction."""

    def __call__(self, sql: str, *, limit: int) -> Sequence[Mapping[str, object]]: ...


class Method(StrEnum):
    """What an estimate rests on, most trustworthy first."""

    FREE_SPACE_MAP = "free_space_map"
    """Free slots counted over the free space map, dead rows from the counters."""
    PGSTATTUPLE_APPROX = "pgstattuple_approx"
    """Live rows counted by the server in the pages that are not all-visible."""
    FIXED_WIDTH = "fixed_width"
    """Every row has one size that the catalogue tells: no column statistics are needed."""
    STATISTICS = "statistics"
    """The layout of a row, computed from column statistics."""


class Confidence(StrEnum):
    """How far to believe an estimate. `low` is shown, but deserves a severity one step down."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Withheld(StrEnum):
    """Why there is no estimate. A closed set: it becomes a label."""

    LOCKED = "locked"
    UNSUPPORTED_ACCESS_METHOD = "unsupported_access_method"
    INVALID = "invalid"
    PRIVILEGE = "privilege"
    NEVER_ANALYZED = "never_analyzed"
    NO_STATISTICS = "no_statistics"
    INHERITED_ONLY = "inherited_only"
    STALE_STATISTICS = "stale_statistics"
    PARTIAL_PREDICATE = "partial_predicate"
    EXPRESSION = "expression"
    NEVER_VACUUMED = "never_vacuumed"
    EXTENSION = "extension"


@dataclass(frozen=True, slots=True)
class BloatFacts:
    """What the caller knows of the database before the first query."""

    server_version: int
    extensions: Mapping[str, str]
    block_size: int = 8192


@dataclass(frozen=True, slots=True)
class TableBloat:
    """One table or materialized view. Bytes are of the heap's main fork; TOAST and indexes are not in them.

    `bloat_bytes` is what a full rewrite would give back; `dead_bytes` is the part of it that VACUUM must free
    first (None: the counters of this server cannot tell). `bloat_ratio_high` is the upper end where only a range
    is known; `bloat_ratio` and `bloat_bytes` are then its lower end.
    """

    oid: int
    schema: str
    relation: str
    relation_bytes: int | None
    bloat_bytes: int | None = None
    bloat_ratio: float | None = None
    bloat_ratio_high: float | None = None
    dead_bytes: int | None = None
    live_rows: int | None = None
    method: Method | None = None
    confidence: Confidence | None = None
    withheld: Withheld | None = None


@dataclass(frozen=True, slots=True)
class IndexBloat:
    """One index. `bloat_bytes` is what REINDEX would give back; the rest reads as in `TableBloat`."""

    oid: int
    schema: str
    relation: str
    index: str
    index_bytes: int | None
    bloat_bytes: int | None = None
    bloat_ratio: float | None = None
    bloat_ratio_high: float | None = None
    method: Method | None = None
    confidence: Confidence | None = None
    withheld: Withheld | None = None
