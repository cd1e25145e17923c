"""Owns one look at the tables that wait for autovacuum, as every check of its service takes it. Judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.service import Need, Wait, Waits
from dbwatch.engines.postgres.rows import number
from dbwatch.model import RawRow

_PATIENCE: Final = 3.0
"""Intervals without a look after which what was seen before proves nothing."""

_NOW: Final = """
-- needs no privilege
select extract(epoch from pg_catalog.clock_timestamp())::float8 as asked_at
"""


def look(
    context: ProbeContext, remembered: type[Waits], found: Sequence[RawRow], need: Callable[[RawRow], Need]
) -> tuple[float, Mapping[int, Wait]]:
    """What time it was at the server, and the wait of every table found, by oid. Rows have `oid` and `asked_at`."""
    now = max(number(row["asked_at"]) or 0.0 for row in found or context.fetch(_NOW, limit=1))
    needs = {oid_of(row): need(row) for row in found}
    patience_seconds = _PATIENCE * context.check.every
    return now, context.memory.of(remembered).look(context.facts.database, now, needs, patience_seconds)


def oid_of(row: RawRow) -> int:
    return int(str(row["oid"]))
