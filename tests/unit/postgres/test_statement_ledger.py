"""The account of statements against a server that knows the truth: nothing is lost, nothing counted twice."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbwatch.engines.postgres.statements.counters import ZERO, Counters
from dbwatch.engines.postgres.statements.ledger import Ledger, Look
from dbwatch.engines.postgres.statements.snapshot import Entry, Identity, Key, Snapshot
from dbwatch.engines.postgres.statements.top import Series, ordered, places
from dbwatch.engines.postgres.sticky import Sticky
from tests.unit.postgres.model_statements import FULL, Server, spread

_DURATIONS = st.lists(st.floats(1e-6, 100.0), min_size=1, max_size=6)
_RUN = st.tuples(st.just("run"), st.integers(1, 6), _DURATIONS, st.booleans())
_EVICT = st.tuples(st.just("evict"), st.sets(st.integers(1, 6), max_size=4))
_ANY = st.one_of(
    _RUN,
    _RUN,
    st.just(("reset",)),
    _EVICT,
    st.just(("restart", False)),
    st.just(("restart", True)),
    st.just(("read",)),
    st.just(("look",)),
)
_WHOLE = st.one_of(_RUN, _RUN, st.just(("restart", False)), st.just(("read",)), st.just(("look",)))
_ALL_ANEW = st.one_of(
    _RUN, _RUN, st.just(("reset",)), st.just(("restart", True)), st.just(("read",)), st.just(("look",))
)


class Watched:
    """A server, its account, and the sums of what two consumers were told."""

    def __init__(self, api: int) -> None:
        self.server = Server(api)
        self.ledger = Ledger()
        self.series = Series(Sticky(2, patience=2))
        self.gone = ZERO
        self.expected: dict[Identity, list[float]] = {}
        self.looks: list[Look] = []

    def do(self, step: tuple[object, ...]) -> None:
        match step:
            case ("run", int(statement), list(durations), bool(top)):
                self.server.run(statement, durations, top=top)
            case ("reset",):
                self.server.reset()
            case ("evict", set(statements)):
                self.server.evict(statements)
            case ("restart", bool(crash)):
                self.server.restart(crash=crash)
            case ("read",):
                self.read()
            case _:
                self.look()

    def read(self) -> None:
        for key, durations in self.server.recoverable.items():
            self.expected.setdefault(key.identity, []).extend(durations)
        self.ledger.feed(self.server.told())

    def look(self) -> Look:
        self.read()
        look = self.ledger.look("a")
        self.looks.append(look)
        self._adds_up(look)
        return look

    def _adds_up(self, look: Look) -> None:
        """What is named, what left its place, and the remainder are everything, always."""
        before = dict(self.series.named)
        self.series.take(look, places(ordered(look.changes, lambda change: change.exec_seconds)))
        for identity in before.keys() - self.series.named.keys():
            self.gone = self.gone.plus(before[identity])
        shown = self.gone
        for counters in (*self.series.named.values(), *self.series.others.values()):
            shown = shown.plus(counters)
        total = ZERO
        for seen in self.looks:
            total = total.plus(seen.all)
        assert shown.calls == total.calls
        assert shown.exec_seconds == pytest.approx(total.exec_seconds, rel=1e-9)

    def taken(self) -> dict[Identity, Counters]:
        """What each statement did, by all looks after the first."""
        found: dict[Identity, Counters] = {}
        for look in self.looks[1:]:
            for identity, change in look.changes.items():
                assert min(change) >= 0
                found[identity] = found.get(identity, ZERO).plus(change)
        return found


def _watched(api: int, steps: list[tuple[object, ...]]) -> Watched:
    watched = Watched(api)
    watched.look()
    watched.expected.clear()
    for step in steps:
        watched.do(step)
    watched.look()
    return watched


@given(st.sampled_from([8, 9, 11]), st.lists(_WHOLE, max_size=30))
@settings(deadline=None)
def test_without_losses_every_execution_is_told_once_with_its_exact_spread(
    api: int, steps: list[tuple[object, ...]]
) -> None:
    watched = _watched(api, steps)
    taken = watched.taken()
    assert taken.keys() == watched.expected.keys()
    for identity, durations in watched.expected.items():
        told = taken[identity]
        assert (told.calls, told.rows, told.shared_hit) == (len(durations), 2 * len(durations), 3 * len(durations))
        assert told.exec_seconds == pytest.approx(math.fsum(durations))
        assert told.stddev_seconds == pytest.approx(spread(durations), rel=1e-6, abs=1e-5)
    assert not any(look.losses.any for look in watched.looks)


@given(st.lists(_ANY, max_size=40))
@settings(deadline=None, max_examples=200)
def test_where_each_entry_tells_its_beginning_nothing_the_server_kept_is_lost_or_doubled(
    steps: list[tuple[object, ...]],
) -> None:
    watched = _watched(11, steps)
    # A statement that left the server between two looks is in the sums of its database, not under its own name.
    told = sum(look.all.calls for look in watched.looks[1:])
    assert told == sum(len(durations) for durations in watched.expected.values())
    for identity, counters in watched.taken().items():
        assert counters.calls <= len(watched.expected[identity])


@given(st.lists(_ALL_ANEW, max_size=40))
@settings(deadline=None, max_examples=200)
def test_where_only_the_reset_of_all_is_told_that_is_enough(steps: list[tuple[object, ...]]) -> None:
    watched = _watched(9, steps)
    told = sum(look.all.calls for look in watched.looks[1:])
    assert told == sum(len(durations) for durations in watched.expected.values())


@given(st.sampled_from([8, 9]), st.lists(_ANY, max_size=40))
@settings(deadline=None, max_examples=200)
def test_an_old_extension_may_hide_a_loss_but_nothing_is_ever_doubled(
    api: int, steps: list[tuple[object, ...]]
) -> None:
    watched = Watched(api)
    watched.look()
    ran = 0
    for step in [*steps, ("look",)]:
        ran += sum(len(durations) for durations in watched.server.ran.values()) if step[0] in ("read", "look") else 0
        watched.do(step)
    assert sum(look.all.calls for look in watched.looks[1:]) <= ran


@given(st.lists(_ANY, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
@settings(deadline=None)
def test_who_looks_more_often_is_told_the_same_in_all(steps: list[tuple[object, ...]], often: list[bool]) -> None:
    watched = Watched(11)
    watched.look()
    watched.ledger.look("b")
    often_told = 0.0
    for step, looks in zip(steps, often, strict=False):
        watched.do(step)
        if looks:
            often_told += watched.ledger.look("b").all.calls
    watched.look()
    often_told += watched.ledger.look("b").all.calls
    assert often_told == sum(look.all.calls for look in watched.looks[1:])


def test_the_spread_of_a_small_window_after_a_long_life_is_exact() -> None:
    numbers = random.Random(7)
    old = [numbers.lognormvariate(-5, 1) for _ in range(200_000)]
    new = [numbers.lognormvariate(-4, 0.7) for _ in range(500)]
    watched = Watched(11)
    watched.server.run(1, old)
    watched.look()
    watched.server.run(1, new)
    (change,) = watched.look().changes.values()
    assert change.stddev_seconds == pytest.approx(spread(new), rel=1e-9)
    assert change.mean_seconds == pytest.approx(math.fsum(new) / 500, rel=1e-9)


@pytest.mark.parametrize("api", [8, 9, 11])
def test_one_entry_that_was_reset_stands_for_itself(api: int) -> None:
    watched = Watched(api)
    watched.server.run(1, [0.1] * 9)
    watched.server.run(2, [0.1] * 9)
    watched.look()
    watched.server.forget({1})
    watched.server.run(1, [0.1] * 5)
    watched.server.run(2, [0.1] * 5)
    look = watched.look()
    assert [change.calls for change in look.changes.values()] == [5, 5]
    assert look.losses.reborn == 1


def test_a_statement_that_left_and_came_back_begins_anew_for_who_did_not_look() -> None:
    watched = Watched(11)
    watched.server.run(1, [0.1] * 9)
    watched.read()
    watched.ledger.look("b")
    watched.server.run(1, [0.1] * 4)
    watched.read()
    watched.server.evict({1})
    watched.read()
    watched.server.run(1, [0.1] * 3)
    watched.read()
    look = watched.ledger.look("b")
    assert [change.calls for change in look.changes.values()] == [3]
    assert look.all.calls == 7, "the four before it left are in the sum of the database"


def test_a_reading_is_shared_with_who_has_not_seen_it() -> None:
    ledger = Ledger()
    assert not ledger.is_news_to("a", not_before=0.0)
    ledger.feed(_reading({}))
    assert ledger.is_news_to("a", not_before=0.0)
    ledger.look("a")
    assert not ledger.is_news_to("a", not_before=0.0)
    assert ledger.is_news_to("b", not_before=0.0)
    assert not ledger.is_news_to("b", not_before=1.5), "too old for b"


def test_losses_are_told() -> None:
    watched = Watched(11)
    for statement in (1, 2, 3):
        watched.server.run(statement, [0.1])
    watched.look()
    watched.server.evict({1, 2})
    watched.server.run(1, [0.2])
    losses = watched.look().losses
    assert (losses.vanished, losses.reborn, losses.deallocations) == (1, 1, 1)
    assert not watched.look().losses.any


@pytest.mark.parametrize("update", [(8, 9), (8, 11), (9, 11)])
def test_the_update_of_the_extension_between_two_looks_changes_nothing(update: tuple[int, int]) -> None:
    watched = Watched(update[0])
    watched.server.run(1, [0.1, 0.3], top=True)
    watched.server.run(1, [0.5], top=False)
    watched.look()
    watched.server.api = update[1]
    watched.server.run(1, [0.7], top=True)
    look = watched.look()
    assert [(change.calls, change.exec_seconds) for change in look.changes.values()] == [pytest.approx((1, 0.7))]
    watched.server.api = update[0]
    watched.look()
    watched.server.run(3, [0.1], top=True)
    watched.look()
    watched.server.api = update[1]
    watched.server.run(3, [0.2, 0.2], top=False)
    assert [change.calls for change in watched.look().changes.values()] == [2], "now also inside of a function"
    watched.server.run(1, [0.9], top=False)
    assert [change.calls for change in watched.look().changes.values()] == [1]


def _reading(entries: dict[Key, Entry], **known: object) -> Snapshot:
    return Snapshot(**{"entries": entries, "read_at": 1.0, "sources": FULL, **known})  # type: ignore[arg-type]


def _fed(*snapshots: Snapshot) -> Look:
    ledger = Ledger()
    for snapshot in snapshots:
        ledger.feed(snapshot)
        look = ledger.look("a")
    return look


KEY = Key(Identity(10, 5, 77), True)


def test_a_counter_that_only_now_can_be_read_does_not_jump() -> None:
    fewer = {name: name for name in FULL if name != "wal_bytes"}
    before = _reading({KEY: Entry(Counters(calls=5))}, sources=fewer)
    look = _fed(before, _reading({KEY: Entry(Counters(calls=7, wal_bytes=4096))}))
    assert look.changes == {KEY.identity: Counters(calls=2)}


def test_a_statement_beyond_what_we_read_is_no_new_one() -> None:
    before = _reading({}, complete=False, server_seconds=50.0)
    look = _fed(before, _reading({KEY: Entry(Counters(calls=900))}))
    assert look.changes == {}
    assert look.losses.unplaced == 1
    look = _fed(before, _reading({KEY: Entry(Counters(calls=9), since=51.0)}))
    assert look.changes == {KEY.identity: Counters(calls=9)}


@pytest.mark.parametrize(
    ("kept", "calls"), [(True, 2), (False, 7)], ids=["a clean restart keeps the entries", "a crash does not"]
)
def test_a_restart_where_nothing_tells_of_resets(kept: bool, calls: float) -> None:
    still, other = Key(Identity(10, 5, 1), None), Key(Identity(10, 5, 2), None)
    key = Key(Identity(10, 5, 77), None)
    entries = {key: Entry(Counters(calls=5, exec_seconds=1.0)), still: Entry(Counters(calls=1)), other: Entry(ZERO)}
    after = {key: Entry(Counters(calls=7, exec_seconds=2.0)), **({still: entries[still]} if kept else {})}
    look = _fed(_reading(entries, started_at=1.0), _reading(after, started_at=2.0))
    assert look.changes[key.identity].calls == calls


def _steady(calls: Callable[[int], float]) -> Look:
    return _look(
        {Identity(1, 1, number): Counters(calls=calls(number), exec_seconds=calls(number)) for number in range(100)}
    )


def _look(changes: dict[Identity, Counters], present: frozenset[Identity] | None = None) -> Look:
    ledger = Ledger()
    ledger.feed(_reading({Key(identity, None): Entry(change) for identity, change in changes.items()}))
    return ledger.look("a")


def test_the_named_ones_do_not_change_with_the_noise_of_a_window() -> None:
    sticky: Sticky[Identity] = Sticky(10, patience=3)
    noise = random.Random(3)
    changes = naive = 0
    first: set[Identity] = set()
    for window in range(50):
        look = _steady(lambda number: (200 - number) * noise.uniform(0.95, 1.05))
        before = set(sticky.members)
        sticky.choose(places(ordered(look.changes, lambda change: change.exec_seconds)), look.present)
        order = ordered(look.changes, lambda change: change.exec_seconds)
        changes += len(set(sticky.members) - before) if window else 0
        naive += len(set(order[:10]) - first) if window else 0
        first = set(order[:10])
    assert changes * 5 < naive
    assert set(range(5)) <= {identity.queryid for identity in sticky.members}


def test_who_is_out_of_reach_for_long_leaves_and_an_idle_server_changes_nothing() -> None:
    sticky: Sticky[Identity] = Sticky(2, patience=3)
    first = {Identity(1, 1, number): number for number in (1, 2)}
    sticky.choose(first)
    for _ in range(10):
        sticky.choose({}, first)
    assert sticky.members.keys() == first.keys()
    crowd = {Identity(1, 1, number): number - 9 for number in range(10, 20)}
    for _ in range(2):
        sticky.choose(crowd, [*first, *crowd])
        assert sticky.members.keys() > first.keys()
    sticky.choose({**crowd, Identity(1, 1, 1): 4}, [*first, *crowd])
    assert {identity.queryid for identity in sticky.members} == {1, 10, 11}
    for _ in range(2):
        sticky.choose(crowd, [*first, *crowd])
        assert {identity.queryid for identity in sticky.members} == {1, 10, 11}, "within reach it was as new"
    sticky.choose(crowd, [*first, *crowd])
    assert {identity.queryid for identity in sticky.members} == {10, 11}
