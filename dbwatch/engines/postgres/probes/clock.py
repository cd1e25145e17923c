"""Owns comparing the server's clock with ours. Judges nothing.

The server read its clock between our question and its answer, so the difference is known up to that time and no better:
only what is beyond doubt is told.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number
from dbwatch.model import RawRow

_LOOKS = 3
_SQL = """
-- needs no privilege
select extract(epoch from pg_catalog.clock_timestamp())::float8 as now
"""


def clock_skewed(context: ProbeContext) -> Sequence[RawRow]:
    """One row: how far the clocks are apart at least, and in which direction."""
    least, most = float("-inf"), float("inf")
    for _ in range(_LOOKS):
        before = time.time()
        server = number(context.fetch(_SQL, limit=1)[0]["now"]) or 0.0
        after = time.time()
        least, most = max(least, server - after), min(most, server - before)
    ahead, behind = max(0.0, least), max(0.0, -most)
    return (
        {
            "apart_seconds": max(ahead, behind),
            "offset_seconds": (least + most) / 2,
            "direction": "ahead of" if ahead else "behind",
        },
    )
