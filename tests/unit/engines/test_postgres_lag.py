"""How far back a standby is, by what is known of when its primary wrote more than it has replayed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbwatch.engines.postgres.cluster import Cluster, Window
from dbwatch.engines.postgres.replication.board import (
    PrimaryTold,
    StandbyTold,
    known_delay,
    primary_of,
    upstream_of,
)
from dbwatch.engines.postgres.replication.lag import Look, Method, lag_of

NOW = 1000.0
STREAMING = Look(at=NOW, connected=True, caught_up=True, streams=True, last_commit=400.0)
BEHIND = replace(STREAMING, caught_up=False)
LOST = replace(STREAMING, connected=False)
PAST = Window(after=980.0, by=981.0)
NOT_YET = Window(after=999.0, by=None)


def watched(look: Look, clock: Window, *, read: float = 999.0) -> Look:
    return replace(look, clock=clock, clock_read=read)


@pytest.mark.parametrize(
    ("what", "look", "seconds"),
    [
        ("streams and has all: no lag, however old the last commit", STREAMING, 0),
        ("behind: the last commit is all that is known", BEHIND, 600),
        ("behind: it was seen caught up since", replace(BEHIND, received=Window(990.0, 995.0)), 10),
        ("behind: a commit is younger than that look", replace(BEHIND, received=PAST, last_commit=980.5), 19.5),
        ("a commit cannot be younger than what came after it", replace(BEHIND, received=PAST, last_commit=990.0), 19),
        ("behind, and nothing replayed yet", replace(BEHIND, last_commit=None, received=Window(None, 995.0)), 5),
        ("lost: nobody knows what was written since", LOST, 600),
        ("lost: it had all at its last message", replace(LOST, received=NOT_YET, last_message=970.0), 30),
        ("lost, and nothing replayed since the start", replace(LOST, last_commit=None), None),
        ("an archive says nothing of what is not in it", replace(LOST, streams=False), None),
        ("its upstream is cut off", replace(STREAMING, cut_off=True, cut_off_since=950.0), 50),
        ("its upstream is cut off, nobody knows since when", replace(STREAMING, cut_off=True), 600),
        ("delayed on purpose", replace(BEHIND, received=PAST, delay_seconds=15.0), 5),
        ("within its delay", replace(BEHIND, received=PAST, delay_seconds=3600.0), 0),
        (
            "delayed, first look: the next commit is due later than the age of the last one says",
            replace(BEHIND, received=Window(None, 999.0), delay_seconds=60.0),
            0,
        ),
    ],
)
def test_a_standby_seen_alone(what: str, look: Look, seconds: float | None) -> None:
    lag = lag_of(look)
    assert lag.seconds == seconds, what
    assert lag.method is Method.TIMESTAMP


@pytest.mark.parametrize(
    ("what", "look", "seconds", "method"),
    [
        ("lost, and the primary is idle", watched(LOST, NOT_YET), 0, Method.LSN_CLOCK),
        ("lost, and the primary went on", watched(LOST, PAST), 20, Method.LSN_CLOCK),
        ("lost before we looked, a commit known", watched(LOST, Window(None, 900.0)), 600, Method.LSN_CLOCK),
        (
            "lost before we looked, no commit known",
            watched(replace(LOST, last_commit=None), Window(None, 900.0)),
            100,
            Method.LSN_CLOCK,
        ),
        ("an archive that is behind", watched(replace(LOST, streams=False), PAST), 20, Method.LSN_CLOCK),
        ("an archive that has all", watched(replace(LOST, streams=False), NOT_YET), 0, Method.LSN_CLOCK),
        ("a link that is silent", watched(STREAMING, PAST), 20, Method.LSN_CLOCK),
        ("a record on its way", watched(STREAMING, Window(985.0, 999.8)), 0, Method.LSN_CLOCK),
        ("the primary is not seen any more, and lost", watched(LOST, NOT_YET, read=900.0), 1, Method.TIMESTAMP),
        ("the primary is not seen any more: an old lead", watched(STREAMING, PAST, read=900.0), 0, Method.TIMESTAMP),
        (
            "the standby's wall clock is fast",
            watched(replace(LOST, last_commit=1000.0), PAST),
            19,
            Method.LSN_CLOCK,
        ),
    ],
)
def test_a_standby_whose_primary_is_watched(what: str, look: Look, seconds: float, method: Method) -> None:
    lag = lag_of(look)
    assert (lag.seconds, lag.method) == (seconds, method), what


def test_a_lower_bound_says_so() -> None:
    assert lag_of(watched(replace(LOST, last_commit=None), Window(None, 900.0))).at_least
    assert not lag_of(watched(LOST, PAST)).at_least


def test_the_clock_of_a_clone_or_of_an_old_primary_is_not_trusted() -> None:
    cluster = Cluster()
    assert primary_of(None, 1) is None
    assert primary_of(cluster, 1) is not None, "a primary may be watched by other checks only"
    cluster.tell("old", PrimaryTold(timeline=1, clock_ahead_seconds=5.0))
    known = primary_of(cluster, 1)
    assert known is not None
    assert known.told == PrimaryTold(1, 5.0)
    assert primary_of(cluster, None) is not None
    assert primary_of(cluster, 2) is None, "the standby follows another timeline"
    cluster.tell("clone", PrimaryTold(timeline=1, clock_ahead_seconds=5.0))
    assert primary_of(cluster, 1) is None, "two take writes: whose standby is it?"


def test_the_upstream_is_who_listens_where_the_log_comes_from() -> None:
    cluster = Cluster()
    upper = StandbyTold("upper", frozenset({("db2", 5432), ("10.0.0.2", 5432)}), True, 0.0, False, None)
    cluster.tell("upper", upper)
    assert upstream_of(cluster, "lower", ("10.0.0.2", 5432)) == upper
    assert upstream_of(cluster, "lower", ("10.0.0.1", 5432)) is None
    assert upstream_of(cluster, "upper", ("db2", 5432)) is None, "nobody is upstream of itself"
    assert upstream_of(cluster, "lower", None) is None


def test_a_delay_is_known_only_when_all_of_a_name_are_watched() -> None:
    def standby(delay: float) -> StandbyTold:
        return StandbyTold("walreceiver", frozenset(), True, delay, False, None)

    assert known_delay([standby(3600.0)], "walreceiver", senders=1) == 3600.0
    assert known_delay([standby(3600.0)], "walreceiver", senders=2) is None
    assert known_delay([standby(3600.0), standby(0.0)], "walreceiver", senders=2) == 0.0
    assert known_delay([standby(0.0)], "other", senders=1) is None
