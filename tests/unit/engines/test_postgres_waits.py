"""How long a table is said to wait for autovacuum: never longer than can be shown, but for the first look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbwatch.engines.postgres.probes.service import Need, Waits

PAST = Need(amount=20_000, trigger=5_000, served_at=None, writes=30_000)
PATIENCE = 900.0


def waited(waits: Waits, now: float, need: Need | None, database: str = "shop") -> float | None:
    found = waits.look(database, now, {} if need is None else {1: need}, PATIENCE)
    return now - found[1].since if 1 in found else None


def test_the_wait_is_counted_from_the_first_look_that_found_it() -> None:
    waits = Waits()
    assert waited(waits, 1000, None) is None
    assert waited(waits, 1300, PAST) == 0
    assert waited(waits, 1600, PAST) == 300
    assert waited(waits, 1900, replace(PAST, amount=50_000, writes=60_000)) == 600


def test_a_table_that_recovered_starts_anew() -> None:
    waits = Waits()
    waited(waits, 1000, PAST)
    waited(waits, 1300, None)
    assert waited(waits, 1600, PAST) == 0


def test_a_vacuum_in_between_serves_a_busy_table() -> None:
    waits = Waits()
    waited(waits, 1000, PAST)
    busy = replace(PAST, served_at=1290.0, writes=PAST.writes + 20_000)
    assert waited(waits, 1300, busy) == 10


def test_a_vacuum_that_left_the_dead_rows_did_not_serve() -> None:
    waits = Waits()
    waited(waits, 1000, PAST)
    found = waits.look("shop", 1300, {1: replace(PAST, served_at=1290.0, writes=PAST.writes + 100)}, PATIENCE)
    assert (1300 - found[1].since, found[1].left) == (300, True)
    found = waits.look("shop", 1600, {1: replace(PAST, served_at=1290.0, writes=PAST.writes + 200)}, PATIENCE)
    assert (1600 - found[1].since, found[1].left) == (600, True)


def test_counters_that_were_reset_prove_nothing() -> None:
    waits = Waits()
    waited(waits, 1000, PAST)
    assert waited(waits, 1300, replace(PAST, served_at=1290.0, writes=0)) == 10


@pytest.mark.parametrize("now", [1000 + PATIENCE + 1, 900])
def test_a_look_too_long_ago_or_in_the_future_is_forgotten(now: float) -> None:
    waits = Waits()
    waited(waits, 1000, PAST)
    assert waited(waits, now, PAST) == 0


def test_the_presumption_is_for_the_first_look_at_a_database() -> None:
    presumed = replace(PAST, presumed_since=400.0)
    waits = Waits()
    assert waited(waits, 1000, presumed) == 600
    assert waited(waits, 1300, presumed) == 900
    waits = Waits()
    waited(waits, 700, None)
    assert waited(waits, 1000, presumed) == 0
    assert waited(waits, 1000, presumed, database="other") == 600


def test_a_proof_holds_at_every_look() -> None:
    waits = Waits()
    waited(waits, 700, None)
    assert waited(waits, 1000, replace(PAST, known_since=950.0)) == 50
    assert waited(waits, 1300, PAST) == 350


def test_databases_that_are_gone_are_forgotten() -> None:
    waits = Waits()
    for number in range(500):
        waits.look(f"build_{number}", 300.0 * number, {}, 900.0)
    assert len(waits._looks) <= 5
