"""The server's time without the network's, told from nothing but how long answers took."""

from __future__ import annotations

import pytest

from dbwatch.engines.roundtrip import FREE_SECONDS, RoundTrip


def test_beside_the_server_all_of_it_is_the_servers() -> None:
    trip = RoundTrip()
    assert trip.kept_waiting(0.0003) == 0.0
    assert trip.without(0.0004) == 0.0004
    assert trip.without(2.0) == 2.0


def test_far_away_the_way_there_and_back_is_left_out() -> None:
    trip = RoundTrip()
    assert trip.kept_waiting(0.0205) == 0.0
    assert trip.without(0.0205) == pytest.approx(FREE_SECONDS)
    assert trip.without(1.0205) == pytest.approx(1.0 + FREE_SECONDS)
    assert trip.without(0.0105) == pytest.approx(FREE_SECONDS), "a shorter one teaches that the way is shorter"
    assert trip.without(1.0105) == pytest.approx(1.0 + FREE_SECONDS)


def test_a_question_that_costs_nothing_was_held_when_it_comes_very_late() -> None:
    trip = RoundTrip()
    for seconds in (0.02, 0.045, 0.03, 0.02):
        assert trip.kept_waiting(seconds) == 0.0
    assert trip.kept_waiting(1.52) == pytest.approx(1.5)
