"""Which turns of a target are news."""

from __future__ import annotations

from dbwatch.turns import MOST_HASTY_TURNS, News, Turns


def test_every_turn_after_a_minute_of_peace_is_told() -> None:
    now = 0.0
    turns = Turns(lambda: now)
    for _ in range(100):
        assert turns.turn() is News.TOLD
        now += 61


def test_hasty_turns_are_told_a_few_times_an_hour() -> None:
    now = 0.0
    turns = Turns(lambda: now)
    for _ in range(2):
        said = []
        for _ in range(300):
            said.append(turns.turn())
            now += 10
        assert said.count(News.TOLD) == MOST_HASTY_TURNS + 1, "the first comes after peace"
        assert said.count(News.TOO_MANY) == 1
        now += 3600
