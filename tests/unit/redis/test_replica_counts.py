"""Replicas counted over minutes and hours: those that were there, and those that copied everything anew."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dbwatch.config import Target
from dbwatch.config.target import Expect
from dbwatch.engines.memory import Memory
from dbwatch.engines.redis import replicas
from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.facts import facts_of
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.errors import Skipped
from dbwatch.model import Engine, RawRow, Reason
from tests.redis.targets import bundled_check

TARGET = Target(name="cache", engine=Engine.REDIS, host="h", port=6379)
CHECK = bundled_check("redis_replica_missing")


class Watching:
    """A primary looked at now and then, by a clock of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, target: Target = TARGET) -> None:
        self.now = 1000.0
        self.target = target
        self.memory = Memory()
        monkeypatch.setattr(replicas, "time", SimpleNamespace(monotonic=lambda: self.now))

    def context(self, info: Fields) -> ProbeContext:
        return ProbeContext(
            info=info,
            ask=refusing,
            knock=lambda command="PING": None,
            remaining=lambda: 5.0,
            facts=facts_of(info, self.target),
            check=CHECK,
            target=self.target,
            memory=self.memory,
        )

    def missing(self, connected: int, *, after: float = 0.0, role: str = "master") -> RawRow:
        self.now += after
        return replicas.missing(self.context({"role": role, "connected_slaves": str(connected)}))[0]

    def resyncs(self, *, after: float = 0.0, **fields: int | str) -> RawRow:
        self.now += after
        info = {"sync_full": "0", "sync_partial_err": "0", "master_repl_offset": "0", "run_id": "a"}
        return replicas.resyncs(self.context({**info, **{name: str(value) for name, value in fields.items()}}))[0]


def refusing(command: str, *arguments: str) -> object:
    raise Skipped(Reason.PRIVILEGE, f"no {command} {arguments}", step=command)


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Watching:
    return Watching(monkeypatch)


def test_a_replica_that_was_there_for_minutes_is_missed(watching: Watching) -> None:
    watching.missing(2)
    assert watching.missing(2, after=300)["missing"] == 0.0
    gone = watching.missing(1, after=15)
    assert (gone["missing"], gone["wanted"], gone["absent_seconds"], gone["expected"]) == (1.0, 2.0, 15.0, 0.0)
    assert watching.missing(1, after=120)["absent_seconds"] == 135.0
    assert "1 of 2 replicas are connected; there were 2 until 2 min 15 s ago" in str(watching.missing(1)["told"])
    assert watching.missing(2, after=15)["missing"] == 0.0


def test_one_that_came_for_a_moment_is_not(watching: Watching) -> None:
    watching.missing(1)
    watching.missing(2, after=300)
    assert watching.missing(1, after=60)["missing"] == 0.0
    assert watching.missing(0, after=60)["missing"] == 1.0


def test_it_is_forgotten_after_a_day_or_when_the_server_becomes_a_replica(watching: Watching) -> None:
    watching.missing(1)
    watching.missing(1, after=600)
    assert watching.missing(0, after=86_400)["missing"] == 1.0
    assert watching.missing(0, after=1)["missing"] == 0.0
    watching.missing(1)
    watching.missing(1, after=600)
    with pytest.raises(Skipped):
        watching.missing(0, role="slave")
    assert watching.missing(0, after=1)["missing"] == 0.0


def test_a_number_in_the_configuration_ends_the_guessing(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(name="cache", engine=Engine.REDIS, expect=Expect(replica_count=1))
    watching = Watching(monkeypatch, target)
    watching.missing(3)
    watching.missing(3, after=600)
    row = watching.missing(1, after=60)
    assert (row["missing"], row["wanted"], row["absent_seconds"]) == (0.0, 1.0, None)


def test_full_copies_are_those_of_the_last_quarter_of_an_hour(watching: Watching) -> None:
    assert watching.resyncs(sync_full=7, sync_partial_err=5)["recent_copies"] == 0.0
    row = watching.resyncs(after=60, sync_full=9, sync_partial_err=6)
    assert (row["recent_copies"], row["recent_refusals"]) == (2.0, 1.0)
    assert watching.resyncs(after=800, sync_full=9, sync_partial_err=6)["recent_copies"] == 2.0
    assert watching.resyncs(after=60, sync_full=9, sync_partial_err=6)["recent_copies"] == 0.0


@pytest.mark.parametrize("anew", [{"run_id": "b"}, {"sync_full": 0}, {"master_repl_offset": 0}])
def test_a_restart_a_reset_and_another_stream_begin_anew(watching: Watching, anew: dict[str, int | str]) -> None:
    watching.resyncs(sync_full=1, master_repl_offset=50)
    fields: dict[str, int | str] = {"sync_full": 9, "master_repl_offset": 60}
    assert watching.resyncs(after=10, **fields)["recent_copies"] == 8.0
    assert watching.resyncs(after=10, **{**fields, **anew})["recent_copies"] == 0.0


def test_the_backlog_in_seconds_is_by_the_pace_of_all_we_saw(watching: Watching) -> None:
    assert watching.resyncs(repl_backlog_size=1000)["backlog_seconds"] is None
    assert watching.resyncs(after=100, repl_backlog_size=1000, master_repl_offset=500)["backlog_seconds"] == 200.0
    assert watching.resyncs(after=100, repl_backlog_size=1000, master_repl_offset=500)["backlog_seconds"] == 400.0
