"""What probes remember between two looks fades in time, stays bounded, and is never a secret."""

from __future__ import annotations

import datetime
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.cluster import Cluster
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes import PROBES
from dbwatch.engines.postgres.probes.split_brain import Primary, other_primaries
from dbwatch.model import Engine, Facts, RawRow, Role, Status
from dbwatch.runner.contract import fit
from dbwatch.runner.verdict import Verdict, judge

CHECKS = Path(__file__).resolve().parents[3] / "checks" / "postgres"


@dataclass
class World:
    """A server that answers what `rows` says, and a clock that goes on when told to.

    `loads` is how often its session has read the files of settings, and `asked` how often anybody asked for `rows`.
    """

    monkeypatch: pytest.MonkeyPatch
    version: tuple[int, ...] = (18, 6)
    rows: list[RawRow] = field(default_factory=list)
    now: float = 1000.0
    memory: Memory = field(default_factory=Memory)
    loads: int = 0
    asked: int = 0

    def __post_init__(self) -> None:
        self.monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def _fetch(self, sql: str, *, limit: int) -> Sequence[RawRow]:
        if "pg_conf_load_time" in sql:
            return [{"loaded_at": float(self.loads)}]
        self.asked += 1
        return self.rows[:limit]

    def _attempt(self, sql: str, *, limit: int, seconds: float) -> Sequence[RawRow]:
        return self._fetch(sql, limit=limit)

    def look(self, name: str) -> Verdict:
        check = load_check(CHECKS / f"{name}.yaml", Engine.POSTGRES)
        facts = Facts(Engine.POSTGRES, self.version, "18.6", Role.PRIMARY, "postgresql")
        context = ProbeContext(
            fetch=self._fetch,
            attempt=self._attempt,
            remaining=lambda: 5.0,
            facts=facts,
            check=check,
            target=Target("a", Engine.POSTGRES),
            memory=self.memory,
            cluster=None,
        )
        raw = PROBES[name](context)
        return judge(check, fit(check, raw), None, self.now, today=datetime.date(2026, 11, 20))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def _life(started: float, seen: float, *, memory: float | None = None, counted: float | None = 5.0) -> RawRow:
    return {
        "started_at": started,
        "seen_at": seen,
        "memory_at": memory if memory is not None else started,
        "counted_since": counted,
        "in_recovery": False,
    }


def _setting(name: str, value: str, **more: str) -> Mapping[str, object]:
    return {"name": name, "value": value, "unit": None, "vartype": "string", **more}


def _reloaded(world: World, *settings: Mapping[str, object]) -> None:
    world.rows, world.loads = list(settings), world.loads + 1


def test_a_restart_is_news_for_ten_minutes(world: World) -> None:
    world.rows = [_life(10, 20)]
    assert world.look("server_restarted").status is Status.OK
    world.rows = [_life(30, 40)]
    assert world.look("server_restarted").status is Status.WARNING
    world.now += 599
    assert world.look("server_restarted").status is Status.WARNING
    world.now += 2
    verdict = world.look("server_restarted")
    assert verdict.status is Status.OK
    assert verdict.rows[0].values["restarts"] == 1


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (_life(30, 40), "restarted after a clean shutdown"),
        (_life(30, 40, counted=30.1), "without a clean shutdown"),
        (_life(30, 40, counted=None), "the server restarted; up for"),
        (_life(20, 40), "replaced behind this address"),
        (_life(5, 40), "replaced behind this address"),
        (_life(10, 40, memory=35), "one of its processes had crashed"),
    ],
)
def test_how_a_life_ended(world: World, after: RawRow, told: str) -> None:
    world.rows = [_life(10, 20)]
    world.look("server_restarted")
    world.rows = [after]
    assert told in world.look("server_restarted").summary


def test_a_change_of_role_is_news_for_ten_minutes(world: World) -> None:
    world.rows = [{"in_recovery": True, "timeline": 3}]
    world.look("role_changed")
    world.rows = [{"in_recovery": False, "timeline": 4}]
    assert world.look("role_changed").status is Status.WARNING
    world.now += 601
    assert world.look("role_changed").status is Status.OK


def test_an_unknown_timeline_is_no_change(world: World) -> None:
    for timeline in (None, 4, None, 4):
        world.rows = [{"in_recovery": False, "timeline": timeline}]
        assert world.look("role_changed").status is Status.OK


def test_a_changed_setting_is_news_for_an_hour_and_counted_for_ever(world: World) -> None:
    for value in ("1", "2", "3"):
        _reloaded(world, _setting("work_mem", value, unit="kB", vartype="integer"))
        verdict = world.look("setting_changed")
    assert verdict.status is Status.WARNING
    assert verdict.summary == "work_mem changed from 2 (unit kB) to 3 (unit kB), 0 s ago"
    world.now += 3601
    verdict = world.look("setting_changed")
    assert verdict.status is Status.OK
    assert verdict.rows[0].values["changes"] == 2


def test_a_setting_that_is_gone_for_a_look_is_compared_when_it_is_back(world: World) -> None:
    _reloaded(world, _setting("a", "1"), _setting("b", "1"))
    world.look("setting_changed")
    _reloaded(world, _setting("a", "1"))
    assert world.look("setting_changed").status is Status.OK
    _reloaded(world, _setting("a", "1"), _setting("b", "2"))
    assert world.look("setting_changed").summary.startswith("b changed from 1 to 2")


def test_settings_are_read_when_the_session_has_read_the_files_and_else_every_ten_minutes(world: World) -> None:
    _reloaded(world, _setting("a", "1"))
    world.look("setting_changed")
    world.rows = [_setting("a", "2")]
    assert (world.look("setting_changed").status, world.asked) == (Status.OK, 1)
    world.now += 601
    assert (world.look("setting_changed").status, world.asked) == (Status.WARNING, 2)
    _reloaded(world, _setting("a", "3"))
    assert (world.look("setting_changed").rows[0].values["changes"], world.asked) == (2, 3)


@pytest.mark.parametrize(
    "name",
    [
        "primary_conninfo",
        "archive_command",
        "restore_command",
        "ssl_passphrase_command",
        "ssl_key_file",
        "krb_server_keyfile",
        "app.jwt_secret",
        "myextension.anything",
    ],
)
def test_what_may_be_a_secret_is_neither_shown_nor_kept(world: World, name: str) -> None:
    for value in ("hunter1", "hunter2"):
        _reloaded(world, _setting(name, value))
        verdict = world.look("setting_changed")
    assert verdict.status is Status.WARNING
    assert verdict.findings[0].key == name
    assert "hunter" not in repr(verdict)
    assert "hunter" not in repr(world.memory._kept)


def test_what_is_remembered_of_settings_is_bounded(world: World) -> None:
    for value in ("1", "2"):
        _reloaded(world, *(_setting(f"s{number:04}", value) for number in range(400)))
        verdict = world.look("setting_changed")
    assert len(verdict.rows) == 100


def test_a_primary_that_has_not_told_for_long_is_no_primary() -> None:
    now = [100.0]
    cluster = Cluster(clock=lambda: now[0])
    own = Primary(started_at=1.0, timeline=2, since=50.0, is_declared=False)
    cluster.tell("other", Primary(started_at=2.0, timeline=1, since=0.0, is_declared=False))
    now[0] = 160.0
    assert [name for name, _ in other_primaries(cluster, "own", own, 60)] == ["other"]
    now[0] = 160.1
    assert other_primaries(cluster, "own", own, 60) == []


def test_times_that_do_not_overlap_prove_nothing() -> None:
    cluster = Cluster(clock=lambda: 100.0)
    cluster.tell("other", Primary(started_at=2.0, timeline=1, since=0.0, is_declared=False))
    promoted_later = Primary(started_at=1.0, timeline=2, since=100.1, is_declared=False)
    assert other_primaries(cluster, "own", promoted_later, 60) == []
    same_server = Primary(started_at=2.0, timeline=1, since=0.0, is_declared=False)
    assert other_primaries(cluster, "own", same_server, 60) == []


@pytest.mark.parametrize(
    ("ours", "server", "status", "told"),
    [
        ((100.0, 100.1), 103.0, Status.WARNING, "the server's clock is 2.9 s ahead of the clock of this monitor"),
        ((100.0, 100.1), 96.0, Status.WARNING, "the server's clock is 4 s behind the clock of this monitor"),
        ((100.0, 100.1), 101.0, Status.OK, "nothing found"),
        ((100.0, 110.0), 107.0, Status.OK, "nothing found"),
        ((100.0, 110.0), 111.9, Status.OK, "nothing found"),
    ],
)
def test_clocks_are_apart_only_beyond_doubt(
    world: World, ours: tuple[float, float], server: float, status: Status, told: str
) -> None:
    readings = itertools.cycle(ours)
    world.monkeypatch.setattr(time, "time", lambda: next(readings))
    world.rows = [{"now": server}]
    verdict = world.look("clock_skewed")
    assert (verdict.status, verdict.summary) == (status, told)
