"""Owns looking into heaps by the extensions a database has, within a budget of pages that is never exceeded.

Refuses to read rows of user tables. Judges nothing: `verdict` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dbwatch.engines.postgres.bloat import sql_measures
from dbwatch.engines.postgres.bloat.heap import FreeSpace
from dbwatch.engines.postgres.bloat.model import BloatFacts, Fetch
from dbwatch.engines.postgres.bloat.rows import Row, integer, number, pairs, text
from dbwatch.engines.postgres.bloat.verdict import Approximation, Evidence, Verdict, judge

FSM_PAGES = 262_144
"""Heap pages whose free space is looked up in the map in one run (0.4 µs each); larger heaps are sampled evenly."""
FSM_PAGES_PER_HEAP = 2_048
"""What every heap gets, however many there are: enough for an error of a point."""
HEAP_PAGES = 32_768
"""Heap pages pgstattuple_approx may read in one run: 256 MiB."""

_FREE_SPACE = "pg_freespace(regclass,bigint)"
_VISIBILITY = "pg_visibility_map_summary(regclass)"
_APPROX = "pgstattuple_approx(regclass)"
_EXTENSION_OF = {_FREE_SPACE: "pg_freespacemap", _VISIBILITY: "pg_visibility", _APPROX: "pgstattuple"}


@dataclass(frozen=True, slots=True)
class Heap:
    """One relation to judge: the row it came from, its true size and what is known of it so far."""

    row: Row
    oid: int
    bytes: int
    evidence: Evidence

    @property
    def pages(self) -> int:
        return self.evidence.activity.pages


@dataclass(frozen=True, slots=True)
class Measured:
    """A heap with all that was found out, and the verdict on it."""

    heap: Heap
    verdict: Verdict
    live_rows: float | None


def measure(fetch: Fetch, schemas: Mapping[str, str], heaps: Sequence[Heap]) -> list[Measured]:
    """The verdict on every heap; `schemas` is what `callable_measures` said."""
    free = free_space(fetch, schemas, heaps)
    heaps = [replace(heap, evidence=replace(heap.evidence, free=free.get(heap.oid))) for heap in heaps]
    verdicts = {heap.oid: judge(heap.evidence) for heap in heaps}
    unsettled = [heap for heap in heaps if verdicts[heap.oid].wants_arbiter]
    seen = _approximate(fetch, schemas, unsettled)
    found: list[Measured] = []
    for heap in heaps:
        approximation = seen.get(heap.oid)
        if approximation is None:
            found.append(Measured(heap, verdicts[heap.oid], heap.evidence.activity.live_rows))
        else:
            verdict = judge(replace(heap.evidence, approximation=approximation))
            found.append(Measured(heap, verdict, approximation.live))
    return found


def callable_measures(fetch: Fetch, facts: BloatFacts) -> dict[str, str]:
    """The schemas of the extension functions that exist and that we may call, by signature."""
    schemas = {
        signature: facts.extensions[extension]
        for signature, extension in _EXTENSION_OF.items()
        if extension in facts.extensions
    }
    if not schemas:
        return {}
    asked = [(schema, signature) for signature, schema in schemas.items()]
    allowed = fetch(sql_measures.may_call(asked), limit=len(asked))
    return {signature: schemas[signature] for signature in (text(row, "signature") for row in allowed)}


def free_space(fetch: Fetch, schemas: Mapping[str, str], heaps: Sequence[Heap]) -> dict[int, FreeSpace]:
    """The free space map of each heap, by OID; nothing without the extension."""
    if _FREE_SPACE not in schemas or not heaps:
        return {}
    share = max(FSM_PAGES_PER_HEAP, FSM_PAGES // len(heaps))
    wanted = [(heap.oid, heap.pages, -(-heap.pages // share)) for heap in heaps]
    rows = fetch(sql_measures.free_space(schemas[_FREE_SPACE], wanted), limit=len(wanted))
    return {
        integer(row, "oid"): FreeSpace(
            tuple((bytes_free, int(pages)) for bytes_free, pages in pairs(text(row, "histogram")))
        )
        for row in rows
    }


def _approximate(fetch: Fetch, schemas: Mapping[str, str], heaps: Sequence[Heap]) -> dict[int, Approximation]:
    """What pgstattuple_approx says of as many heaps, largest first, as the page budget allows."""
    if _APPROX not in schemas or not heaps:
        return {}
    visible: dict[int, int] = {}
    if _VISIBILITY in schemas:
        asked = [heap.oid for heap in heaps]
        rows = fetch(sql_measures.visibility(schemas[_VISIBILITY], asked), limit=len(asked))
        visible = {integer(row, "oid"): integer(row, "all_visible") for row in rows}
    budget = HEAP_PAGES
    chosen: list[int] = []
    for heap in heaps:
        to_read = max(0, heap.pages - visible.get(heap.oid, 0))
        if to_read <= budget:
            budget -= to_read
            chosen.append(heap.oid)
    if not chosen:
        return {}
    return {
        integer(row, "oid"): Approximation(
            scanned_ratio=number(row, "scanned_percent") / 100,
            live=number(row, "live"),
            dead=number(row, "dead"),
            free_bytes=number(row, "free_bytes"),
        )
        for row in fetch(sql_measures.approximate(schemas[_APPROX], chosen), limit=len(chosen))
    }
