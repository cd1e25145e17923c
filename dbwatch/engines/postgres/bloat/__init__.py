"""Owns the estimation of table and btree index bloat: SQL gathers facts, pure models judge them.

Refuses to guess: what cannot be known is returned with a reason in place of numbers. Opens no connection.
"""

from dbwatch.engines.postgres.bloat.indexes import estimate_indexes
from dbwatch.engines.postgres.bloat.model import (
    BloatFacts,
    Confidence,
    Fetch,
    IndexBloat,
    Method,
    TableBloat,
    Withheld,
)
from dbwatch.engines.postgres.bloat.tables import estimate_tables
from dbwatch.engines.postgres.bloat.toast import estimate_toast

__all__ = [
    "BloatFacts",
    "Confidence",
    "Fetch",
    "IndexBloat",
    "Method",
    "TableBloat",
    "Withheld",
    "estimate_indexes",
    "estimate_tables",
    "estimate_toast",
]
