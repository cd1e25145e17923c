"""Owns the estimate of bloat in TOAST relations, where the server keeps long values in chunks.

No statistics describe chunks, so only the free space map tells: without the extension for it nothing is said at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.bloat import sql_tables
from dbwatch.engines.postgres.bloat.activity import Activity, activity_of
from dbwatch.engines.postgres.bloat.columns import RowShape
from dbwatch.engines.postgres.bloat.heap import FreeSpace, HeapShare, Page, bloat_by_natural_rest
from dbwatch.engines.postgres.bloat.measuring import Heap, Measured, callable_measures, free_space
from dbwatch.engines.postgres.bloat.model import (
    MIN_PAGES,
    BloatFacts,
    Confidence,
    Fetch,
    Method,
    TableBloat,
    Withheld,
)
from dbwatch.engines.postgres.bloat.rows import flag, integer, integer_or_none
from dbwatch.engines.postgres.bloat.tables import described, without_answer
from dbwatch.engines.postgres.bloat.verdict import Evidence, Verdict

_CHUNKS_PER_PAGE = 4
_CHUNK_OVERHEAD = 4 + 8
"""Of a whole chunk's stored row, what alignment and the page's line pointers take from a quarter of a page."""
_SAME = 0.02
_UNKNOWN = RowShape(None, Withheld.NEVER_VACUUMED)


def estimate_toast(fetch: Fetch, facts: BloatFacts, *, limit: int = 100) -> list[TableBloat]:
    """The bloat of the `limit` largest TOAST relations by the names of their tables, largest first.

    `relation_bytes` is that of the TOAST relation alone; `live_rows` counts chunks.
    """
    rows = fetch(sql_tables.largest_toast(limit, MIN_PAGES), limit=limit)
    estimates: list[TableBloat] = []
    heaps: list[Heap] = []
    for row in rows:
        size = integer_or_none(row, "main_bytes")
        if flag(row, "is_locked"):
            estimates.append(without_answer(row, Withheld.LOCKED))
        elif size is not None and size >= MIN_PAGES * facts.block_size:
            activity = activity_of(row, size // facts.block_size)
            heaps.append(Heap(row, integer(row, "oid"), size, Evidence(Page(facts.block_size), activity, _UNKNOWN)))
    estimates.extend(_estimates(fetch, facts, heaps))
    return sorted(estimates, key=lambda one: (-(one.relation_bytes or 0), one.oid))


def _estimates(fetch: Fetch, facts: BloatFacts, heaps: Sequence[Heap]) -> list[TableBloat]:
    maps = free_space(fetch, callable_measures(fetch, facts), heaps) if heaps else {}
    return [
        described(Measured(heap, _judge(heap, free), heap.evidence.activity.live_rows))
        if (free := maps.get(heap.oid)) is not None
        else without_answer(heap.row, Withheld.EXTENSION)
        for heap in heaps
    ]


def _judge(heap: Heap, free: FreeSpace) -> Verdict:
    """The answer; a range where it depends on when the counters were handed in."""
    activity = heap.evidence.activity
    if activity.live_rows is None:
        return Verdict(withheld=Withheld.NEVER_VACUUMED)
    if not activity.counted and activity.has_moved:
        return Verdict(withheld=Withheld.STALE_STATISTICS)
    settled = activity.settled()
    if settled is None:
        share = _share(heap, free, activity)
        confidence = Confidence.MEDIUM if activity.counted else Confidence.LOW
        dead = share.dead if activity.dead_rows is not None else None
        return Verdict(share.bloat, None, dead, Method.FREE_SPACE_MAP, confidence)
    then, since = (_share(heap, free, activity) for activity in settled)
    high = since.bloat if since.bloat - then.bloat > _SAME else None
    confidence = Confidence.MEDIUM if high is None else Confidence.LOW
    return Verdict(then.bloat, high, None, Method.FREE_SPACE_MAP, confidence)


def _share(heap: Heap, free: FreeSpace, activity: Activity) -> HeapShare:
    page = heap.evidence.page
    chunk = page.full // _CHUNKS_PER_PAGE - _CHUNK_OVERHEAD
    rows = activity.live_rows or 0.0
    return bloat_by_natural_rest(free, rows, activity.dead_rows or 0.0, activity.pages, chunk, page)
