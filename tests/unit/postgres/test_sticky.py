"""Who has series of its own: not who is first at the moment, but who has been among the first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dbwatch.engines.postgres.probes.detail import DetailMemory
from dbwatch.engines.postgres.sticky import Sticky

orders = st.lists(st.permutations(range(12)), min_size=1, max_size=40)


def place(order: list[int]) -> dict[int, int]:
    return {key: at for at, key in enumerate(order, start=1)}


@given(orders, st.integers(1, 4), st.integers(1, 6))
def test_who_is_named_was_among_the_first_and_was_not_out_of_reach_for_long(
    looks: list[list[int]], keep: int, patience: int
) -> None:
    few = Sticky[int](keep, patience=patience)
    for number, order in enumerate(looks):
        before = set(few.members)
        few.choose(place(order))
        named, seen = set(few.members), looks[: number + 1]
        assert set(order[:keep]) <= named, "who is first is named at once"
        assert len(named) <= few.most
        assert named - before <= set(order[:keep]), "nobody gets in from farther down"
        for key in before - named:
            assert len(before | set(order[:keep])) > few.most or all(
                key not in past[: 2 * keep] for past in seen[-patience:]
            ), "nobody leaves who was within reach lately"


@given(st.lists(st.booleans(), max_size=60))
def test_two_that_change_places_at_the_edge_change_nothing(swaps: list[bool]) -> None:
    few = Sticky[int](3, patience=2)
    few.choose(place([1, 2, 3, 4, 5, 6, 7]))
    few.choose(place([1, 2, 4, 3, 5, 6, 7]))
    named = set(few.members)
    for swapped in swaps:
        few.choose(place([1, 2, 4, 3, 5, 6, 7] if swapped else [1, 2, 3, 4, 5, 6, 7]))
        assert set(few.members) == named == {1, 2, 3, 4}


def test_who_fell_behind_leaves_when_it_has_lasted() -> None:
    few = Sticky[int](1, patience=3)
    few.choose(place([1, 2, 3, 4]))
    for _ in range(2):
        few.choose(place([2, 3, 4, 1]))
        assert set(few.members) == {1, 2}
    few.choose(place([2, 3, 4, 1]))
    assert set(few.members) == {2}


def test_a_number_of_databases_that_changes_leaves_who_has_room() -> None:
    memory = DetailMemory()
    known = ("shop", "stock")
    few = memory.of("a", "shop", 8, known)
    few.choose(place([1, 2, 3, 4]))
    assert memory.of("a", "shop", 8, known) is few
    assert memory.of("b", "shop", 8, known) is not few
    assert list(memory.of("a", "shop", 4, known).members) == [1, 2]
    assert list(memory.of("a", "shop", 1, known).members) == [1]


def test_databases_that_were_dropped_are_forgotten() -> None:
    memory = DetailMemory()
    for name in ("shop", "of a test", "of another test"):
        memory.of("a", name, 8, ("shop", name))
    assert set(memory.named) == {("a", "shop"), ("a", "of another test")}
