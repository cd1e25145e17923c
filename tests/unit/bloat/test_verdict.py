"""The choice between methods, and the reasons for none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.engines.postgres.bloat.activity import Activity
from dbwatch.engines.postgres.bloat.columns import RowShape
from dbwatch.engines.postgres.bloat.heap import FreeSpace, Page
from dbwatch.engines.postgres.bloat.layout import Item
from dbwatch.engines.postgres.bloat.model import Confidence, Method, Withheld
from dbwatch.engines.postgres.bloat.verdict import Approximation, Evidence, judge

ITEM = Item(36.0, exact=True)
FULL = Activity(pages=1000, relpages=1000, reltuples=226_000, live=226_000, dead=0, modified=0, counted_seconds=3600.0)
KNOWN = Evidence(Page(8192), FULL, RowShape(ITEM))


def changed(evidence: Evidence, **activity: float | None) -> Evidence:
    return replace(evidence, activity=replace(evidence.activity, **activity))  # type: ignore[arg-type]


def test_a_full_table_has_no_bloat() -> None:
    verdict = judge(KNOWN)
    assert (verdict.ratio, verdict.method, verdict.confidence) == (0.0, Method.STATISTICS, Confidence.MEDIUM)


def test_the_reason_of_the_columns_is_the_reason() -> None:
    verdict = judge(replace(KNOWN, shape=RowShape(None, Withheld.PRIVILEGE)))
    assert (verdict.ratio, verdict.withheld) == (None, Withheld.PRIVILEGE)


def test_statistics_of_rows_since_changed_are_stale() -> None:
    assert judge(changed(KNOWN, modified=45_000)).withheld is None
    assert judge(changed(KNOWN, modified=46_000)).withheld is Withheld.STALE_STATISTICS


def test_rows_of_one_size_do_not_go_stale() -> None:
    fixed = replace(KNOWN, shape=RowShape(ITEM, is_fixed=True))
    verdict = judge(changed(fixed, modified=1_000_000, live=113_000, dead=113_000))
    assert verdict.ratio == pytest.approx(0.5)
    assert verdict.dead == pytest.approx(0.5)
    assert (verdict.method, verdict.confidence) == (Method.FIXED_WIDTH, Confidence.HIGH)
    assert judge(changed(fixed, counted_seconds=None, pages=2000)).withheld is Withheld.STALE_STATISTICS


def test_without_counters_the_catalogue_counts_and_dead_rows_are_unknown() -> None:
    verdict = judge(changed(KNOWN, counted_seconds=None, live=0))
    assert (verdict.ratio, verdict.dead, verdict.confidence) == (0.0, None, Confidence.LOW)


def test_a_table_nobody_counted_is_never_analyzed() -> None:
    assert judge(changed(KNOWN, counted_seconds=None, reltuples=-1.0)).withheld is Withheld.NEVER_ANALYZED


def test_an_emptied_table_is_all_bloat_whatever_its_rows_were() -> None:
    emptied = changed(replace(KNOWN, shape=RowShape(None, Withheld.PRIVILEGE)), live=0, dead=226_000)
    assert judge(emptied).ratio == 1.0


def test_the_free_space_map_answers_without_statistics() -> None:
    bare = replace(KNOWN, shape=RowShape(None, Withheld.NO_STATISTICS), free=FreeSpace(((3616, 1000),)))
    verdict = judge(changed(bare, live=113_000))
    assert verdict.ratio == pytest.approx(0.5, abs=0.01)
    assert verdict.method is Method.FREE_SPACE_MAP
    assert verdict.confidence is Confidence.MEDIUM


def test_methods_far_apart_give_the_lower_answer_the_range_and_little_confidence() -> None:
    verdict = judge(changed(replace(KNOWN, free=FreeSpace(((0, 1000),))), live=113_000))
    assert verdict.ratio == 0.0
    assert verdict.high == pytest.approx(0.5)
    assert verdict.confidence is Confidence.LOW
    assert verdict.wants_arbiter


def test_pages_that_were_read_settle_it() -> None:
    seen = Approximation(scanned_ratio=1.0, live=113_000, dead=0, free_bytes=1000 * 3650.0)
    verdict = judge(replace(KNOWN, free=FreeSpace(((0, 1000),)), approximation=seen))
    assert verdict.ratio == pytest.approx(0.5, abs=0.01)
    assert verdict.high is None
    assert (verdict.method, verdict.confidence) == (Method.PGSTATTUPLE_APPROX, Confidence.HIGH)


rows = st.integers(0, 10**7)


@given(
    st.builds(
        Activity,
        pages=st.integers(0, 10**6),
        relpages=st.integers(0, 10**6),
        reltuples=st.floats(-1, 1e8),
        live=rows,
        dead=rows,
        modified=rows,
        counted_seconds=st.none() | st.floats(0, 1000),
        analyzed_last=st.booleans(),
        changes=rows,
    ),
    st.sampled_from(
        [RowShape(ITEM), RowShape(Item(99.5, exact=False), is_fixed=True), RowShape(None, Withheld.PRIVILEGE)]
    ),
    st.none() | st.lists(st.tuples(st.sampled_from([0, 32, 800, 4096, 8160]), st.integers(1, 999)), max_size=4),
    st.none()
    | st.builds(
        Approximation,
        scanned_ratio=st.floats(0, 1),
        live=st.floats(0, 1e7),
        dead=st.floats(0, 1e7),
        free_bytes=st.floats(0, 1e10),
    ),
)
def test_there_is_a_share_or_a_reason_and_never_a_negative_one(
    activity: Activity,
    shape: RowShape,
    free: list[tuple[int, int]] | None,
    seen: Approximation | None,
) -> None:
    space = FreeSpace(tuple(free)) if free is not None else None
    verdict = judge(Evidence(Page(8192), activity, shape, space, seen))
    if verdict.ratio is None:
        assert verdict.withheld is not None
        assert verdict.method is None
        return
    assert verdict.withheld is None
    assert verdict.method is not None
    assert 0.0 <= verdict.ratio <= (verdict.high if verdict.high is not None else 1.0) <= 1.0
    assert verdict.dead is None or 0.0 <= verdict.dead <= verdict.ratio or verdict.high is not None


def test_counters_that_came_after_the_vacuum_do_not_lower_or_raise_the_answer() -> None:
    """120,000 of 226,000 rows deleted and vacuumed in one session: its counters arrive after the VACUUM."""
    late = changed(
        KNOWN, reltuples=106_000.0, live=0, dead=120_000, modified=346_000, changes=346_000, counted_seconds=2.0,
        analyzed_last=True,
    )  # fmt: skip
    verdict = judge(late)
    assert verdict.ratio == pytest.approx(0.53, abs=0.01)
    assert verdict.confidence is Confidence.LOW
    assert verdict.high is not None
    assert verdict.dead is None


def test_the_answer_covers_rows_that_died_right_after_a_vacuum() -> None:
    verdict = judge(changed(KNOWN, live=113_000, dead=113_000, modified=113_000, changes=400_000, counted_seconds=2.0))
    assert verdict.withheld is Withheld.STALE_STATISTICS, "it was a VACUUM: the widths may be old"
    verdict = judge(
        changed(
            KNOWN,
            live=113_000,
            dead=113_000,
            modified=113_000,
            changes=400_000,
            counted_seconds=2.0,
            analyzed_last=True,
        )
    )
    assert verdict.ratio == pytest.approx(0.0)
    assert verdict.high == pytest.approx(0.5)


def test_a_table_that_grew_since_is_no_case_of_late_counters() -> None:
    late = changed(KNOWN, pages=1100, modified=100_000, counted_seconds=2.0, analyzed_last=True)
    assert judge(late).withheld is Withheld.STALE_STATISTICS


def test_where_a_rewrite_changes_the_rows_their_new_size_decides() -> None:
    dropped = RowShape(Item(18.0, exact=True), is_fixed=True, differs_stored=True)
    mapped = replace(KNOWN, shape=dropped, free=FreeSpace(((0, 1000),)))
    verdict = judge(mapped)
    assert (verdict.high, verdict.method) == (None, Method.FIXED_WIDTH)
    assert verdict.ratio == pytest.approx(0.5, abs=0.01)
    blind = judge(replace(mapped, shape=RowShape(None, Withheld.PRIVILEGE, differs_stored=True)))
    assert (blind.method, blind.confidence) == (Method.FREE_SPACE_MAP, Confidence.LOW)
    seen = Approximation(scanned_ratio=1.0, live=226_000, dead=0, free_bytes=0)
    assert judge(replace(mapped, approximation=seen)).ratio == pytest.approx(0.5, abs=0.01)
