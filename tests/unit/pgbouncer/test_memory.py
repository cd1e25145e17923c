"""What is told of pools over several looks: connections nobody used, clients whom nobody serves."""

from __future__ import annotations

import pytest

from dbwatch.engines.memory import Memory
from dbwatch.engines.pgbouncer.pools import Pool
from dbwatch.engines.pgbouncer.sizes import IdleServers
from dbwatch.engines.pgbouncer.stranded import StrandedPools, waits
from tests.unit.pgbouncer.answers import Console, measured


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _pool(idle: float, database: str = "shop", *, waiting: float = 0.0) -> Pool:
    return Pool(database, "app", waiting, 0.0, 0.0, idle, 0.0, 20.0, 0.0, paused=False, place="db, port 5432")


def test_the_fewest_idle_of_the_last_hour_are_spare() -> None:
    clock = Clock()
    past = IdleServers(clock)
    for idle in (3.0, 20.0, 15.0):
        past.note((_pool(idle),))
        clock.now += 60
    assert past.spare(_pool(0)) == (3.0, 180.0)
    for _ in range(3):
        clock.now += 1180
        past.note((_pool(18.0),))
    assert past.spare(_pool(0)) == (15.0, 3720.0), "the looks of more than an hour ago no longer count"


def test_a_pool_that_was_away_begins_anew() -> None:
    clock = Clock()
    past = IdleServers(clock)
    past.note((_pool(1.0), _pool(9.0, "other")))
    clock.now += 60
    past.note((_pool(9.0, "other"),))
    past.note((_pool(12.0), _pool(9.0, "other")))
    assert past.spare(_pool(0)) == (12.0, 0.0)
    assert past.spare(_pool(0, "other")) == (9.0, 60.0)


def test_what_nobody_saw_for_long_was_not_watched() -> None:
    clock = Clock()
    past = IdleServers(clock)
    past.note((_pool(12.0),))
    clock.now += 7200
    past.note((_pool(12.0),))
    assert past.spare(_pool(0)) == (12.0, 0.0)


def test_an_hour_of_looks_every_second_is_bounded() -> None:
    clock = Clock()
    past = IdleServers(clock)
    for _ in range(4000):
        past.note((_pool(5.0),))
        clock.now += 1
    assert past.spare(_pool(0))[1] == 4000.0


def test_stranded_counts_from_the_first_look_without_a_break() -> None:
    clock = Clock()
    pools = StrandedPools(clock)
    assert pools.seconds([_pool(0, waiting=1)]) == {("shop", "app"): 0.0}
    clock.now += 15
    assert pools.seconds([_pool(0, waiting=2)]) == {("shop", "app"): 15.0}
    assert pools.seconds([]) == {}
    assert pools.seconds([_pool(0, waiting=1)]) == {("shop", "app"): 0.0}


@pytest.mark.parametrize("version", ["1.18", "1.24", "1.26"])
def test_clients_that_still_log_in_are_timed_by_the_poolers_own_clock(version: str) -> None:
    """`maxwait` says 0 of them; recorded: two of them had come at 14:57:54, and our SHOW at 14:58:36, in its zone."""
    console = Console(version).change("SHOW CLIENTS", "request_time", "2026-11-20 14:58:36 CET")
    console.change("SHOW CLIENTS", "request_time", "2026-11-20 14:57:54 CET", where=("database", "postgres"))
    console.change("SHOW CLIENTS", "state", "waiting", where=("database", "postgres"))
    assert waits(console.show("SHOW CLIENTS")) == {("postgres", "postgres"): 42.0}
    console.change("SHOW POOLS", "cl_waiting", 1).change("SHOW POOLS", "sv_idle", 0)
    (row,) = measured("pgbouncer_pool_without_server", console, memory=Memory())
    assert row["stranded_seconds"] == 42.0
    assert "SHOW CLIENTS" in console.asked


def test_clients_are_not_listed_for_pools_that_are_well() -> None:
    console = Console("1.26")
    measured("pgbouncer_pool_without_server", console)
    assert "SHOW CLIENTS" not in console.asked
