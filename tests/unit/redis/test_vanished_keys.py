"""A database that loses its keys, over several looks: how long it is told, and what ends it."""

from __future__ import annotations

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.engines.memory import Memory
from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.facts import facts_of
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.engines.redis.vanished import vanished
from dbwatch.model import Engine, RawRow

TARGET = Target(name="cache", engine=Engine.REDIS, host="h", port=6379)
CHECK = load_check(bundled("checks") / "redis" / "redis_keys_vanished.yaml", Engine.REDIS)


class Watched:
    """A server as its keyspace changes, and the clock of the machine that looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self._memory = Memory()
        monkeypatch.setattr("dbwatch.engines.redis.vanished.time.monotonic", lambda: self.now)

    def look(self, keys: int, *, run_id: str = "a", expired: int = 0) -> RawRow:
        info: Fields = {
            "role": "master",
            "run_id": run_id,
            "maxmemory_policy": "noeviction",
            "expired_keys": str(expired),
            "evicted_keys": "0",
            **({"db0.keys": str(keys)} if keys else {}),
        }
        context = ProbeContext(
            info=info,
            ask=lambda command, *_: pytest.fail(f"asked {command}"),
            knock=lambda *_: None,
            remaining=lambda: 5.0,
            facts=facts_of(info, TARGET),
            check=CHECK,
            target=TARGET,
            memory=self._memory,
        )
        self.now += 60
        return vanished(context)[0]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    found = Watched(monkeypatch)
    assert found.look(5000)["vanished"] == 0.0
    return found


def test_it_is_told_for_an_hour(watched: Watched) -> None:
    lost = watched.look(10)
    assert (lost["vanished"], lost["keys_before"]) == (1.0, 5000.0)
    still = watched.look(200)
    assert (still["vanished"], still["keys_before"], still["vanished_seconds"]) == (1.0, 5000.0, 60.0)
    watched.now += 3600
    assert watched.look(200)["vanished"] == 0.0


def test_it_is_over_when_half_of_the_keys_are_back(watched: Watched) -> None:
    watched.look(0)
    assert watched.look(2400)["vanished"] == 1.0
    assert watched.look(2600)["vanished"] == 0.0
    assert watched.look(10)["vanished"] == 1.0


def test_a_restart_is_another_check_s_business(watched: Watched) -> None:
    assert watched.look(10, run_id="b")["vanished"] == 0.0


def test_most_of_them_expired(watched: Watched) -> None:
    assert watched.look(10, expired=2600)["vanished"] == 0.0
    assert watched.look(10, expired=2600)["vanished"] == 0.0
