"""Owns the choice between the ways to know a table's bloat, and what remains when they fail or disagree. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dbwatch.engines.postgres.bloat.activity import Activity
from dbwatch.engines.postgres.bloat.columns import RowShape
from dbwatch.engines.postgres.bloat.heap import (
    FreeSpace,
    HeapShare,
    Page,
    bloat_by_rows,
    bloat_by_slots,
    item_from_use,
    used_bytes,
)
from dbwatch.engines.postgres.bloat.layout import Item
from dbwatch.engines.postgres.bloat.model import Confidence, Method, Withheld

_DISPUTE = 0.15
"""Two methods further apart than this are a range, not an answer."""
_SAME = 0.02
_REWRITTEN = 0.05
"""Where a rewrite changes the size of the rows, the size it gives them decides from this difference on."""


@dataclass(frozen=True, slots=True)
class Approximation:
    """One row of pgstattuple_approx."""

    scanned_ratio: float
    live: float
    dead: float
    free_bytes: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of one table."""

    page: Page
    activity: Activity
    shape: RowShape
    free: FreeSpace | None = None
    approximation: Approximation | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer in shares of the table's pages, or the reason for none."""

    ratio: float | None = None
    high: float | None = None
    dead: float | None = None
    method: Method | None = None
    confidence: Confidence | None = None
    withheld: Withheld | None = None

    @property
    def wants_arbiter(self) -> bool:
        """Whether reading pages (pgstattuple_approx) would settle something.

        Also where counters claim many dead rows: those of a session that deletes and vacuums at once are counted
        after the VACUUM, and stay until the next.
        """
        if self.ratio is None or self.high is not None or self.method is not Method.FREE_SPACE_MAP:
            return True
        return self.dead is None or self.dead > _DISPUTE


def judge(evidence: Evidence) -> Verdict:
    """The best answer the evidence allows; a range where it depends on when the counters were handed in."""
    settled = evidence.activity.settled()
    if settled is None:
        return _judge(evidence)
    then, since = (_judge(replace(evidence, activity=activity)) for activity in settled)
    if then.ratio is None or since.ratio is None or then.method is Method.PGSTATTUPLE_APPROX:
        return then
    high = since.high or since.ratio
    return replace(then, high=high, confidence=Confidence.LOW) if high - then.ratio > _SAME else then


def _judge(evidence: Evidence) -> Verdict:
    counted = _by_approximation(evidence)
    if counted is not None:
        return counted
    modelled = _by_model(evidence)
    mapped = _by_free_space(evidence)
    if mapped is None:
        return modelled
    if modelled.ratio is None or mapped.ratio is None or evidence.activity.dead_rows is None:
        return mapped
    if evidence.shape.differs_stored and abs(modelled.ratio - mapped.ratio) > _REWRITTEN:
        return modelled
    low, high = sorted((mapped.ratio, modelled.ratio))
    if high - low <= _DISPUTE:
        return mapped
    chosen = mapped if mapped.ratio == low else modelled
    return replace(chosen, high=high, confidence=Confidence.LOW)


def _by_model(evidence: Evidence) -> Verdict:
    activity, shape = evidence.activity, evidence.shape
    rows = activity.live_rows
    if rows == 0 and activity.pages > 0:
        return _answer(HeapShare(1.0, 0.0), activity, Method.FIXED_WIDTH, Confidence.MEDIUM)
    if shape.item is None:
        return Verdict(withheld=shape.withheld)
    if rows is None:
        return Verdict(withheld=Withheld.NEVER_ANALYZED)
    if activity.is_stale if not shape.is_fixed else _lost_count(activity):
        return Verdict(withheld=Withheld.STALE_STATISTICS)
    share = bloat_by_rows(rows, activity.dead_rows or 0.0, activity.pages, shape.item, evidence.page)
    if shape.is_fixed:
        confidence = Confidence.HIGH if activity.counted else Confidence.MEDIUM
        return _answer(share, activity, Method.FIXED_WIDTH, confidence)
    confidence = Confidence.MEDIUM if activity.counted else Confidence.LOW
    return _answer(share, activity, Method.STATISTICS, confidence)


def _by_free_space(evidence: Evidence) -> Verdict | None:
    activity, free = evidence.activity, evidence.free
    if free is None or free.pages <= 0:
        return None
    item, confidence = _item(evidence), Confidence.HIGH
    dead = activity.dead_rows
    if item is None and activity.counted:
        held = activity.live + (dead or 0.0)
        used = used_bytes(free, activity.pages, evidence.page)
        item, confidence = item_from_use(held, used, activity.pages, evidence.page), Confidence.MEDIUM
    if item is None:
        return None
    if dead is None or _is_blind_to_rewrite(evidence):
        confidence = Confidence.LOW
    share = bloat_by_slots(free, dead or 0.0, activity.pages, item, evidence.page)
    return _answer(share, activity, Method.FREE_SPACE_MAP, confidence)


def _by_approximation(evidence: Evidence) -> Verdict | None:
    seen, activity = evidence.approximation, evidence.activity
    if seen is None:
        return None
    rows = max(seen.live, 0.0)
    if seen.scanned_ratio < 1.0 and activity.counted:
        rows = float(activity.live)
    item = _item(evidence)
    if item is None or not item.exact:
        # Measured beats computed: columns that are NULL together, or widths that go together, are in it.
        used = max(0.0, activity.pages * evidence.page.full - seen.free_bytes)
        item = item_from_use(rows + seen.dead, used, activity.pages, evidence.page)
    share = HeapShare(1.0, 0.0) if item is None else bloat_by_rows(rows, seen.dead, activity.pages, item, evidence.page)
    rewritten = _item(evidence)
    if evidence.shape.differs_stored and rewritten is not None:
        after = bloat_by_rows(rows, seen.dead, activity.pages, rewritten, evidence.page)
        share = after if abs(after.bloat - share.bloat) > _REWRITTEN else share
    return Verdict(
        ratio=share.bloat,
        dead=share.dead,
        method=Method.PGSTATTUPLE_APPROX,
        confidence=Confidence.LOW if _is_blind_to_rewrite(evidence) else Confidence.HIGH,
    )


def _item(evidence: Evidence) -> Item | None:
    """The row size, unless it stems from statistics that are out of date."""
    if evidence.shape.is_fixed or not evidence.activity.is_stale:
        return evidence.shape.item
    return None


def _is_blind_to_rewrite(evidence: Evidence) -> bool:
    """A rewrite changes the size of the rows, and nothing tells to what."""
    return evidence.shape.differs_stored and _item(evidence) is None


def _lost_count(activity: Activity) -> bool:
    return not activity.counted and activity.has_moved


def _answer(share: HeapShare, activity: Activity, method: Method, confidence: Confidence) -> Verdict:
    dead = share.dead if activity.dead_rows is not None else None
    return Verdict(share.bloat, None, dead, method, confidence)
