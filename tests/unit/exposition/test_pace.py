"""A check that waits longer than its interval: what the page says of it, and how long its samples are believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.exposition.test_compat_pages import World as CompatWorld
from tests.unit.exposition.test_compat_pages import slot
from tests.unit.exposition.test_exposition_page import World
from tests.unit.exposition.world import answer, single_row, target_of

USED = "dbwatch_pg_connections_used_ratio"
INTERVAL = "dbwatch_check_interval_seconds"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.add(target_of())
    world.put(answer(world.connections, single_row(used=0.9), finished=1000.0))
    return world


def pace(world: World, stretch: float) -> None:
    world.store.pace("orders", {"connections": stretch} if stretch > 1.0 else {})
    world.exposition.paced("orders")


def test_it_says_its_interval_and_why_and_keeps_its_status(world: World) -> None:
    status = world.value("dbwatch_check_status", check="connections")
    pace(world, 8.0)
    assert world.value(INTERVAL, check="connections") == 120.0
    assert world.value("dbwatch_check_reason", check="connections", reason="budget") == 1.0
    assert world.value("dbwatch_check_overridden", check="connections") == 1.0
    assert world.value("dbwatch_check_status", check="connections") == status
    pace(world, 1.0)
    assert world.value(INTERVAL, check="connections") == 120.0, "until it runs: beside 15 s its answer would look lost"
    world.put(answer(world.connections, single_row(used=0.9), finished=1060.0))
    assert world.value(INTERVAL, check="connections") == 15.0
    assert world.series("dbwatch_check_reason") == world.series("dbwatch_check_overridden") == []


def test_its_samples_are_believed_for_two_of_the_longer_intervals(world: World) -> None:
    world.clock.now = 1039.0
    pace(world, 8.0)
    world.clock.now = 1249.0
    assert world.value(USED) == 0.9
    world.clock.now = 1251.0
    assert world.value(USED) is None


def test_a_run_at_the_longer_interval_lasts_as_long_and_until_the_next_when_it_is_shorter_again(world: World) -> None:
    pace(world, 8.0)
    world.put(answer(world.connections, single_row(used=0.7), finished=1100.0))
    pace(world, 4.0)
    pace(world, 8.0)
    world.clock.now = 1349.0
    assert world.value(USED) == 0.7
    world.clock.now = 1351.0
    assert world.value(USED) is None, "longer, shorter and longer again is no longer than longer"


def test_what_was_too_old_already_does_not_come_back(world: World) -> None:
    world.clock.now = 1041.0
    assert world.value(USED) is None
    pace(world, 16.0)
    assert world.value(USED) is None
    assert world.value(INTERVAL, check="connections") == 240.0


def test_a_check_that_never_ran_and_a_target_that_nobody_knows_are_no_trouble(world: World) -> None:
    world.store.pace("orders", {"unused_index": 2.0, "nobody": 4.0})
    world.exposition.paced("orders")
    world.exposition.paced("nobody")
    assert len(world.series(INTERVAL)) == 1


def test_what_a_collector_read_is_believed_as_long(tmp_path: Path) -> None:
    world = CompatWorld(tmp_path)
    world.put(slot("a"))
    lives = 2 * world.check.every + world.check.timeout
    world.pages.paced("orders", {world.check.name: 4.0})
    world.clock.now += lives + 5 * world.check.every
    assert any(line.startswith("pg_slot_active") for line in world.lines())
    world.put(slot("a"))
    world.pages.paced("orders", {})
    world.clock.now += lives + 5 * world.check.every
    assert any(line.startswith("pg_slot_active") for line in world.lines()), "until it has run at its own interval"
    world.clock.now += world.check.every
    assert not any(line.startswith("pg_slot_active") for line in world.lines())
