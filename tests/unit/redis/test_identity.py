"""What is concluded from two looks at one address."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dbwatch.config import Target
from dbwatch.engines.memory import Memory
from dbwatch.engines.redis import identity
from dbwatch.engines.redis.facts import facts_of
from dbwatch.engines.redis.peers import Peers, Primary
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.errors import CheckError
from dbwatch.model import Engine, RawRow, Reason
from tests.redis.targets import bundled_check

TARGET = Target(name="cache", engine=Engine.REDIS, host="h", port=6379)
CHECK = bundled_check("redis_server_restarted")


class Address:
    """One address, looked at by a clock of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.memory = Memory()
        monkeypatch.setattr(identity, "time", SimpleNamespace(monotonic=lambda: self.now))

    def look(self, run_id: str, up: int, fields: dict[str, str] | None = None, *, after: float = 0.0) -> RawRow:
        self.now += after
        info = {"run_id": run_id, "uptime_in_seconds": str(up), "server_time_usec": "5000000000", **(fields or {})}
        context = ProbeContext(
            info=info,
            ask=lambda command, *arguments: None,
            knock=lambda command="PING": None,
            remaining=lambda: 5.0,
            facts=facts_of(info, TARGET),
            check=CHECK,
            target=TARGET,
            memory=self.memory,
        )
        return identity.server_restarted(context)[0]


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Address:
    return Address(monkeypatch)


def test_a_younger_server_restarted_and_its_keys_are_counted(address: Address) -> None:
    assert address.look("a", 500, {"db0.keys": "70", "db3.keys": "5"})["event"] is None
    row = address.look("b", 10, {"db0.keys": "3"}, after=60)
    assert row["event"] == "restarted; it held 75 keys, and 3 after its start"
    assert (row["restarts"], row["noticed_seconds"]) == (1.0, 0.0)
    assert address.look("b", 70, after=60)["noticed_seconds"] == 60.0


def test_one_life_has_one_start(address: Address) -> None:
    """Uptime is told in whole seconds, so what is reckoned from it would move within a second at each look."""
    first = address.look("a", 500, {"server_time_usec": "5000000000"})["started_at"]
    assert address.look("a", 500, {"server_time_usec": "5000900000"}, after=0.9)["started_at"] == first == 4500.0
    assert address.look("b", 1, {"server_time_usec": "5002000000"}, after=1.1)["started_at"] == 5001.0


def test_an_older_server_was_there_before(address: Address) -> None:
    address.look("a", 500)
    assert "was replaced behind this address" in str(address.look("b", 63, after=60)["event"])


def test_a_restart_right_after_the_last_look_is_one(address: Address) -> None:
    """Uptime is told in whole seconds."""
    address.look("a", 500)
    assert "restarted" in str(address.look("b", 61, after=60)["event"])


def test_keys_are_not_counted_while_they_are_loaded(address: Address) -> None:
    address.look("a", 500, {"db0.keys": "70"})
    assert address.look("b", 1, {"loading": "1"}, after=60)["event"] == "restarted, and is loading its data"


def test_a_role_that_is_not_told_is_not_guessed() -> None:
    with pytest.raises(CheckError) as caught:
        identity.role_of({})
    assert caught.value.reason is Reason.BAD_RESULT


def primary(run_id: str, *histories: str, since: float = 0.0, declared: bool = False) -> Primary:
    return Primary(run_id, frozenset(histories), since, declared)


def test_rivals_share_a_history_and_the_time() -> None:
    now = [100.0]
    peers = Peers(lambda: now[0])
    old = primary("o", "A", since=0.0)
    peers.tell("old", old)
    now[0] = 101.0
    new = primary("n", "B", "A", since=101.0)
    peers.tell("new", new)
    assert not peers.rivals("new", new, within_seconds=60), "the old one was last seen before the new one was one"
    assert set(peers.rivals("old", old, within_seconds=60)) == {"new"}
    assert not peers.rivals("old", primary("o", "C"), within_seconds=60)
    assert not peers.rivals("other way", primary("n", "B"), within_seconds=60).keys() - {"old"}
    now[0] = 200.0
    assert not peers.rivals("old", old, within_seconds=60), "what was told long ago is no news"
    peers.tell("new", primary("n", "A", declared=True))
    assert set(peers.rivals("old", old, within_seconds=60)) == {"new"}
    assert not peers.rivals("old", primary("o", "A", declared=True), within_seconds=60)
    peers.withdraw("new")
    assert not peers.rivals("old", old, within_seconds=60)
