"""Owns asking a dear question only where a cheap one has found a reason to. Knows no check.

Planning is what such a question costs: a database-scoped check asks each database in a session of its own, in which
nothing is planned yet and no catalogue is in memory.
"""

from __future__ import annotations

from typing import Final

from dbwatch.engines.postgres.probe import ProbeContext

ANY_INDEX: Final = """
-- Needs no privilege. Below 16384 are the system's own: a database that nobody uses has no other.
select i.indexrelid
from pg_catalog.pg_index as i
where i.indexrelid >= 16384
"""

_MOST_TABLES: Final = 20_000


def has(context: ProbeContext, sign: str) -> bool:
    """Whether the query, which has no `limit`, finds a row; the server stops at the first."""
    # Left to `fetch`, the limit would say of the check that the server had more rows than are told.
    return bool(context.fetch(f"{sign}limit 1", limit=1))


def oids(context: ProbeContext, sign: str) -> str | None:
    """The column `oid` of all rows as an array to write into a question; None where there are none."""
    found = [str(int(str(row["oid"]))) for row in context.fetch(sign, limit=_MOST_TABLES)]
    return f"'{{{','.join(found)}}}'::pg_catalog.oid[]" if found else None
