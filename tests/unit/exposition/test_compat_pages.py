"""The compatibility pages: names and types as an exporter has them, gone when they are old or their server is."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from dbwatch.catalogue import Check
from dbwatch.catalogue.families import Collector
from dbwatch.exposition.block import Part
from dbwatch.exposition.compat import CompatPages, NoSuchPageError, NotCollectedError
from dbwatch.exposition.compat import pages as pages_module
from dbwatch.exposition.compat.demand import LASTING_SECONDS
from dbwatch.exposition.compat.rendering import render_collected, told_apart
from dbwatch.model import Engine, Reason, Row, Status
from dbwatch.store import Store, TargetState
from tests.unit.catalogue.test_collectors import GOOD, collectors_of
from tests.unit.exposition.world import Clock, answer, facts, no_answer, target_of

PATH = "postgres_exporter"


class World:
    def __init__(self, folder: Path, *targets: str) -> None:
        self.clock = Clock()
        self.store = Store()
        (self.check,) = collectors_of(folder, slots=GOOD)
        self.targets = {name: target_of(name) for name in targets or ("orders",)}
        for target in self.targets.values():
            self.store.register(target, [])
            self.store.set_state(target.name, TargetState(True, facts=facts()))
        self.pages = CompatPages(self.store, self.clock)

    def put(self, *rows: Row, target: str = "orders") -> None:
        outcome = answer(self.check, *rows, target=target, finished=self.clock.now)
        self.pages.update(self.targets[target], self.check, outcome)

    def lines(self, target: str | None = None) -> list[str]:
        return self.pages.page(PATH, target).decode().splitlines()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def slot(name: str, *, active: float | None = 1.0, commits: float | None = 7.0, setting: float | None = None) -> Row:
    labels = {"slot_name": name, "status": "reserved", "name": "port"}
    return Row(labels, {"active": active, "commits": commits, "value": setting}, {}, key=name)


def test_a_counter_keeps_its_name_and_its_type(world: World) -> None:
    world.put(slot("a"))
    lines = world.lines()
    assert "# TYPE pg_slot_commits counter" in lines
    assert 'pg_slot_commits{name="port",server="db.internal:5432",slot_name="a",status="reserved"} 7.0' in lines
    assert 'pg_slot_active{server="db.internal:5432",slot_name="a"} 1.0' in lines
    assert not any("_total" in line for line in lines if line.startswith("pg_slot"))


def test_a_name_is_made_of_a_label(world: World) -> None:
    world.put(slot("a", setting=5432.0))
    lines = world.lines()
    assert "# HELP pg_settings_port The setting port." in lines
    assert "# TYPE pg_settings_port untyped" in lines
    assert 'pg_settings_port{server="db.internal:5432",slot_name="a",status="reserved"} 5432.0' in lines


def test_null_is_no_sample(world: World) -> None:
    world.put(slot("a", active=None))
    assert not any(line.startswith("pg_slot_active") for line in world.lines())


def test_hostile_names_stay_in_their_label(world: World) -> None:
    world.put(slot('x"} 1\npg_up 0'))
    assert [line for line in world.lines() if line.startswith("pg_up")] == ["pg_up 1.0"]


def test_samples_grow_old(world: World) -> None:
    world.put(slot("a"))
    world.lines()
    world.clock.now += 34.9
    assert any(line.startswith("pg_slot_active") for line in world.lines())
    world.clock.now += 0.2
    lines = world.lines()
    assert not any(line.startswith("pg_slot") for line in lines)
    assert "pg_up 1.0" in lines


def test_a_run_without_an_answer_says_so_and_keeps_the_last_one(world: World) -> None:
    world.put(slot("a"))
    assert 'pg_scrape_collector_success{collector="slots"} 1.0' in world.lines()
    world.pages.update(world.targets["orders"], world.check, no_answer(world.check))
    lines = world.lines()
    assert 'pg_scrape_collector_success{collector="slots"} 0.0' in lines
    assert "pg_exporter_last_scrape_error 1.0" in lines
    assert "pg_exporter_scrapes_total 2.0" in lines
    assert any(line.startswith("pg_slot_active") for line in lines)


@pytest.mark.parametrize(("reason", "success"), [(Reason.VERSION, 1.0), (Reason.ROLE, 1.0), (Reason.PRIVILEGE, 0.0)])
def test_what_does_not_arise_is_no_error_and_what_is_forbidden_is_one(
    world: World, reason: Reason, success: float
) -> None:
    world.put(slot("a"))
    world.pages.update(world.targets["orders"], world.check, no_answer(world.check, Status.SKIPPED, reason))
    lines = world.lines()
    assert f'pg_scrape_collector_success{{collector="slots"}} {success}' in lines
    assert not any(line.startswith("pg_slot") for line in lines)


def test_a_lost_server_has_no_series_but_is_down(world: World) -> None:
    world.put(slot("a"))
    world.store.set_state("orders", TargetState(False, Reason.REFUSED, "refused"))
    lines = world.lines()
    assert "pg_up 0.0" in lines
    assert "pg_exporter_last_scrape_error 1.0" in lines
    assert not any(line.startswith("pg_slot") for line in lines)


def test_several_targets_are_told_apart_and_alone_they_are_not(tmp_path: Path) -> None:
    world = World(tmp_path, "orders", "stock")
    world.put(slot("a"))
    world.put(slot("b"), target="stock")
    together = world.lines()
    assert 'pg_up{target="orders"} 1.0' in together
    assert 'pg_slot_active{target="stock",server="db.internal:5432",slot_name="b"} 1.0' in together
    assert together.count("# TYPE pg_slot_active gauge") == 1
    assert not any("target" in line for line in world.lines("stock"))
    world.pages.forget("stock")
    world.store.forget("stock")
    assert not any("target" in line for line in world.lines())


def test_a_page_is_measured_at_the_start_and_while_somebody_asks_for_it(world: World) -> None:
    name = world.check.name
    assert world.pages.wanted("orders", name)
    world.put(slot("a"))
    assert not world.pages.wanted("orders", name)
    world.lines()
    assert world.pages.wanted("orders", name)
    world.clock.now += LASTING_SECONDS
    assert world.pages.wanted("orders", name)
    world.put(slot("a"))
    world.clock.now += 0.1
    assert not world.pages.wanted("orders", name)


def test_the_page_of_all_targets_asks_for_all_and_that_of_one_for_one(tmp_path: Path) -> None:
    world = World(tmp_path, "orders", "stock")
    for target in world.targets:
        world.put(slot("a"), target=target)
    world.lines("stock")
    assert [world.pages.wanted(target, world.check.name) for target in world.targets] == [False, True]
    world.lines()
    assert world.pages.wanted("orders", world.check.name)


def test_a_page_that_nobody_asks_for_is_read_seldom_and_is_there_for_who_asks(world: World) -> None:
    world.put(slot("a"))
    world.clock.now += pages_module.IDLE_SECONDS - world.check.every
    assert not world.pages.wanted("orders", world.check.name)
    world.clock.now += world.check.every
    assert world.pages.wanted("orders", world.check.name)
    world.put(slot("b"))
    assert not world.pages.wanted("orders", world.check.name)
    world.clock.now += pages_module.IDLE_SECONDS
    assert 'pg_slot_active{server="db.internal:5432",slot_name="b"} 1.0' in world.lines()


def test_what_is_asked_for_again_grows_old_at_its_own_pace(world: World) -> None:
    world.put(slot("a"))
    world.clock.now += pages_module.IDLE_SECONDS
    world.lines()
    world.clock.now += pages_module.RESUMING_SECONDS - 0.1
    assert any(line.startswith("pg_slot_active") for line in world.lines())
    world.clock.now += 0.2
    assert not any(line.startswith("pg_slot_active") for line in world.lines())
    assert "pg_up 1.0" in world.lines()


def test_a_page_that_nothing_was_read_for_is_not_shown_empty(world: World) -> None:
    """A daemon that has just started: pg_up 0 would wake somebody, pg_up 1 alone would say that all else has gone."""
    for state in (TargetState(), TargetState(True, facts=facts())):
        world.store.set_state("orders", state)
        with pytest.raises(NotCollectedError):
            world.lines()
    world.pages.update(world.targets["orders"], world.check, no_answer(world.check))
    assert "pg_exporter_last_scrape_error 1.0" in world.lines()


def test_a_target_that_is_new_is_added_when_something_was_read_of_it(tmp_path: Path) -> None:
    world = World(tmp_path, "orders", "stock")
    world.put(slot("a"), target="orders")
    assert [line for line in world.lines() if line.startswith("pg_up")] == ['pg_up{target="orders"} 1.0']
    world.put(slot("a"), target="stock")
    assert len([line for line in world.lines() if line.startswith("pg_up")]) == 2


def test_unknown_pages_name_the_known_ones(world: World) -> None:
    with pytest.raises(NoSuchPageError, match="there are postgres_exporter, redis_exporter"):
        world.pages.page("node_exporter")
    with pytest.raises(NoSuchPageError, match="no target of postgres_exporter is named 'x'; there are orders"):
        world.pages.page(PATH, "x")
    with pytest.raises(NoSuchPageError, match="no Redis target"):
        world.pages.page("redis_exporter")


def test_a_target_without_compat_has_no_page(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.store.register(replace(world.targets["orders"], compat=False), [])
    with pytest.raises(NoSuchPageError):
        world.pages.page(PATH)


def test_rows_beyond_the_room_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [slot(f"s{number}") for number in range(10)]
    rendered = render_collected(world.targets["orders"], _collector(world.check), answer(world.check, *rows), room=7)
    assert (rendered.series, rendered.dropped) == (6, 14)
    monkeypatch.setattr(pages_module, "MOST_SERIES_OF_TARGET", 4)
    world.put(*rows)
    lines = world.lines()
    assert sum(line.startswith("pg_slot") for line in lines) == 4
    assert 'dbwatch_compat_series_dropped_total{collector="slots"} 16.0' in lines


def test_rows_that_no_label_tells_apart_are_one_series(world: World) -> None:
    twin = replace(slot("a"), labels={**slot("a").labels, "status": "lost"}, key="twin")
    world.put(slot("a"), twin)
    lines = world.lines()
    assert sum(line.startswith("pg_slot_active") for line in lines) == 1
    assert 'dbwatch_compat_series_dropped_total{collector="slots"} 1.0' in lines


def test_the_page_compresses(world: World) -> None:
    world.put(slot("a"))
    assert gzip.decompress(world.pages.page(PATH, gzip=True)) == world.pages.page(PATH)


def test_what_it_cost_is_known(world: World) -> None:
    world.put(slot("a"))
    world.put(slot("a"))
    assert world.pages.query_seconds() == {"orders": 0.25}


def test_a_page_is_joined_once(world: World) -> None:
    world.put(slot("a"))
    first = world.pages.page(PATH)
    assert world.pages.page(PATH) == first
    world.put(slot("b"))
    assert world.pages.page(PATH) != first


def test_the_engine_of_the_exporter_decides(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.store.register(replace(world.targets["orders"], name="cache", engine=Engine.REDIS), [])
    assert [target.name for target in world.pages.targets(PATH)] == ["orders"]


def _collector(check: Check) -> Collector:
    assert check.collector is not None
    return check.collector


def test_parts_of_a_histogram_are_told_apart_too() -> None:
    part = Part("pg_a", b"", b'pg_a_bucket{le="1"} 1.0\npg_a_count 2.0\n')
    (changed,) = told_apart([part], "orders-2")
    assert changed.samples == b'pg_a_bucket{target="orders-2",le="1"} 1.0\npg_a_count{target="orders-2"} 2.0\n'
