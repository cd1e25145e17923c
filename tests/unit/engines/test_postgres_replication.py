"""What the probes of replication make of what servers say: skewed clocks, delays, replicas and slots over time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.config.target import Expect
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.cluster import Cluster
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes import PROBES
from dbwatch.engines.postgres.replication.board import PrimaryTold, StandbyTold
from dbwatch.errors import Skipped
from dbwatch.model import Engine, Facts, RawRow, Reason, Role
from tests.checks.cases import CHECKS

GIB = 2.0**30


@dataclass
class World:
    """A server that answers what `rows` says, and a clock that goes on when told to."""

    monkeypatch: pytest.MonkeyPatch
    rows: list[RawRow] = field(default_factory=list)
    flavour: str = "postgresql"
    expect: Expect = field(default_factory=Expect)
    now: float = 5000.0
    memory: Memory = field(default_factory=Memory)
    cluster: Cluster | None = None

    def __post_init__(self) -> None:
        self.monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.cluster = Cluster(lambda: self.now)

    def fetch(self, sql: str, *, limit: int) -> Sequence[RawRow]:
        if "pg_stat" not in sql and "pg_replication_slots" not in sql:
            return [{"now": self.now + 1e9, "timeline": 1}]
        return self.rows[:limit]

    def look(self, name: str) -> Sequence[RawRow]:
        def attempt(sql: str, *, limit: int, seconds: float) -> Sequence[RawRow]:
            return self.fetch(sql, limit=limit)

        context = ProbeContext(
            fetch=self.fetch,
            attempt=attempt,
            remaining=lambda: 5.0,
            facts=Facts(Engine.POSTGRES, (18, 6), "18.6", Role.PRIMARY, self.flavour),
            check=load_check(CHECKS / "postgres" / f"{name}.yaml", Engine.POSTGRES),
            target=Target("a", Engine.POSTGRES, host="db1", port=5432, expect=self.expect),
            memory=self.memory,
            cluster=self.cluster,
        )
        return PROBES[name](context)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


# -- the standby's side -----------------------------------------------------------------------------------------------


def _standby(world: World, *, ahead: float, **changed: object) -> RawRow:
    """A standby whose wall clock is ahead of its primary's; its last commit and message are 3 s and 0.01 s old."""
    primary_now = 1e9 + world.now
    row: dict[str, object] = {
        "now": primary_now + ahead,
        "replayed": 100,
        "received": 200,
        "last_commit": primary_now - 3.0,
        "paused": True,
        "streaming": True,
        "latest_end": 200,
        "latest_end_time": primary_now - 0.02,
        "message_sent": primary_now - 0.02,
        "message_received": primary_now + ahead - 0.01,
        "timeline": 1,
        "sender_host": "db0",
        "sender_port": 5432,
        "wants_receiver": True,
        "application_name": "a",
        "own_host": "10.0.0.1",
        "own_port": 5432,
        "delay_seconds": 0.0,
        "timeout_seconds": 60.0,
    }
    return {**row, **changed}


@pytest.mark.parametrize("ahead", [-3600.0, -5.0, 0.0, 5.0, 3600.0])
def test_the_clocks_of_two_hosts_may_differ(world: World, ahead: float) -> None:
    world.rows = [_standby(world, ahead=ahead)]
    (row,) = world.look("replication_lag")
    assert row["lag_seconds"] == pytest.approx(3.0, abs=0.1)
    assert row["last_replay_age_seconds"] == pytest.approx(3.0, abs=0.1)
    assert row["message_age_seconds"] == pytest.approx(0.01)


def test_a_watched_primary_tells_its_clock_itself(world: World) -> None:
    assert world.cluster is not None
    world.cluster.tell("primary", PrimaryTold(1, 1e9))
    world.rows = [_standby(world, ahead=300.0, message_sent=None, message_received=None, streaming=None)]
    (row,) = world.look("replication_lag")
    assert row["last_replay_age_seconds"] == pytest.approx(3.0)


def test_a_receiver_that_only_starts_has_heard_nothing(world: World) -> None:
    """It notes its own clock as both moments, which would pass for a message without any difference of clocks."""
    world.rows = [_standby(world, ahead=60.0)]
    world.look("replication_lag")
    world.now += 10.0
    started = 1e9 + world.now + 60.0
    world.rows = [_standby(world, ahead=60.0, streaming=False, message_sent=started, message_received=started)]
    (row,) = world.look("replication_lag")
    assert row["last_replay_age_seconds"] == pytest.approx(3.0, abs=0.1)
    assert row["receiver_up"] == 0


def test_a_link_that_is_silent_for_too_long_is_down(world: World) -> None:
    silent = 1e9 + world.now - 36.0
    world.rows = [_standby(world, ahead=0.0, received=100, latest_end=100, message_received=silent)]
    (row,) = world.look("replication_lag")
    assert row["receiver_up"] == 0
    assert row["state"] == "replay is paused"
    world.rows = [_standby(world, ahead=0.0, received=100, latest_end=100, message_received=silent + 10)]
    assert world.look("replication_lag")[0]["receiver_up"] == 1


def test_aurora_replicas_replay_nothing(world: World) -> None:
    world.flavour = "aurora"
    with pytest.raises(Skipped) as error:
        world.look("replication_lag")
    assert error.value.reason is Reason.PLATFORM


# -- the sender's side ------------------------------------------------------------------------------------------------


def _sender(**changed: object) -> RawRow:
    row: dict[str, object] = {
        "replica": "dr",
        "replay_lag_bytes": 9 * GIB,
        "sent_lag_bytes": 0.0,
        "write_lag_bytes": 0.0,
        "flush_lag_bytes": 1024.0,
        "write_lag_seconds": 0.001,
        "flush_lag_seconds": 0.002,
        "replay_lag_seconds": 3600.5,
        "streaming": 1,
        "senders": 1,
        "state": "streaming",
        "sync_state": "async",
        "reply_seconds": 0.1,
        "logical": False,
        "only_stores": False,
    }
    return {**row, **changed}


def _tell(world: World, *, delay: float, name: str = "dr", receiver_up: bool = True) -> None:
    assert world.cluster is not None
    world.cluster.tell("standby", StandbyTold(name, frozenset(), receiver_up, delay, False, None))


@pytest.mark.parametrize(
    ("what", "delay", "row", "owed_bytes", "owed_seconds"),
    [
        ("an unwatched standby may be delayed", None, _sender(), 1024.0, 0.002),
        ("a watched one is not", 0.0, _sender(), 9 * GIB, 3600.5),
        ("a watched one is", 3600.0, _sender(), 1024.0, 0.5),
        ("a subscriber cannot be", None, _sender(logical=True), 9 * GIB, 3600.5),
        ("an idle server tells no times", None, _sender(write_lag_seconds=None, flush_lag_seconds=None), 1024.0, None),
        ("one that has said nothing yet", None, _sender(flush_lag_bytes=None, write_lag_bytes=None), 0.0, 0.001),
        ("pg_receivewal flushes whole files", None, _sender(only_stores=True, flush_lag_seconds=600.0), 0.0, 0.001),
        ("pg_receivewal without a slot", None, _sender(only_stores=True, flush_lag_bytes=None), 0.0, 0.001),
        ("pg_recvlogical tells no replay", None, _sender(logical=True, replay_lag_seconds=None), 9 * GIB, 0.002),
    ],
)
def test_what_a_replica_owes(
    world: World, what: str, delay: float | None, row: RawRow, owed_bytes: float, owed_seconds: float | None
) -> None:
    if delay is not None:
        _tell(world, delay=delay)
    world.rows = [row]
    (told,) = world.look("replica_lag")
    assert (told["overdue_bytes"], told["overdue_seconds"]) == (owed_bytes, pytest.approx(owed_seconds)), what
    assert told["replay_lag_bytes"] == 9 * GIB


# -- who should be there ----------------------------------------------------------------------------------------------


def _connected(name: str | None, *, slot: str | None = None, timeline: int = 1, slots: Sequence[str] = ()) -> RawRow:
    return {
        "timeline": timeline,
        "name": name,
        "slot": slot,
        "standbys": 0 if name is None else 1,
        "connected_seconds": None if name is None else 900.0,
        "slots": list(slots),
    }


def _gone(world: World) -> dict[str, float | None]:
    rows = world.look("replica_missing")
    return {str(row["replica"]): row["absent_seconds"] for row in rows if row["missing"]}  # type: ignore[misc]


def test_a_replica_is_remembered_for_a_day(world: World) -> None:
    world.rows = [_connected("a"), _connected("b")]
    assert _gone(world) == {}
    world.rows = [_connected("a")]
    world.now += 60
    assert _gone(world) == {"b": 60.0}
    world.now += 86_400
    assert _gone(world) == {}, "what is gone for a day is gone"


def test_a_promotion_changes_who_belongs_to_whom(world: World) -> None:
    world.rows = [_connected("dr")]
    _gone(world)
    world.rows = [_connected(None, timeline=2)]
    assert _gone(world) == {}


def test_a_replica_that_streams_from_another_is_not_missed(world: World) -> None:
    world.rows = [_connected("dr")]
    _gone(world)
    _tell(world, delay=0.0)
    world.rows = [_connected(None)]
    assert _gone(world) == {}


def test_a_replica_whose_slot_was_dropped_is_not_missed(world: World) -> None:
    world.rows = [_connected("dr", slot="dr", slots=["dr"])]
    _gone(world)
    world.rows = [_connected(None, slots=["dr"])]
    assert list(_gone(world)) == ["dr"]
    world.rows = [_connected(None)]
    assert _gone(world) == {}


def test_a_replica_whose_slot_is_used_under_another_name_is_not_missed(world: World) -> None:
    world.rows = [_connected("connector-7f9c", slot="cdc", slots=["cdc"])]
    _gone(world)
    world.rows = [_connected("other", slots=["cdc"])]
    assert list(_gone(world)) == ["connector-7f9c"]
    world.rows = [_connected("connector-b2d1", slot="cdc", slots=["cdc"])]
    assert list(_gone(world)) == ["other"], "its consumer was started anew with another name"


def test_a_standby_that_lost_this_server_is_missed_though_it_is_watched(world: World) -> None:
    world.rows = [_connected("dr")]
    _gone(world)
    _tell(world, delay=0.0, receiver_up=False)
    world.rows = [_connected(None)]
    assert list(_gone(world)) == ["dr"]


def test_the_memory_of_replicas_is_bounded(world: World) -> None:
    for number in range(500):
        world.rows = [_connected(f"r{number}")]
        world.now += 1
        assert len(world.look("replica_missing")) <= 201


def test_what_the_owner_expects_is_missed_though_it_was_never_seen(world: World) -> None:
    world.expect = Expect(replicas=("dr", "stand*"), replica_count=2)
    world.rows = [_connected("standby7"), _connected("extra")]
    rows = {str(row["replica"]): row for row in world.look("replica_missing")}
    assert {name: row["missing"] for name, row in rows.items()} == {"dr": 1, "stand*": 0, "extra": 0}
    assert rows["dr"]["absent_seconds"] is None
    assert rows["extra"]["expected"] == 0


# -- slots ------------------------------------------------------------------------------------------------------------


def _slot(retained: float, safe: float | None, **changed: object) -> RawRow:
    row: dict[str, object] = {
        "slot": "debezium",
        "active": 0,
        "slot_type": "logical in shop",
        "wal_status": "extended",
        "retained_bytes": retained,
        "position_bytes": 1e12,
        "safe_bytes": safe,
        "unreserved": 0,
        "xmin_age": None,
        "catalog_xmin_age": 12,
        "inactive_seconds": None,
    }
    return {**row, **changed}


def test_the_time_left_goes_by_ten_minutes_not_by_a_burst(world: World) -> None:
    retained = 30 * GIB
    for _ in range(20):
        world.rows = [_slot(retained, 74 * GIB - retained)]
        (row,) = world.look("replication_slot")
        world.now += 60
        retained += 60 * 5 * 2**20
    assert row["fate"] == "and is lost in about 2 h 11 min at 5 MiB/s"
    world.rows = [_slot(retained + 30 * GIB, 1 * GIB)]  # one burst of half a GiB a second
    (burst,) = world.look("replication_slot")
    assert isinstance(burst["loss_seconds"], float)
    assert burst["loss_seconds"] > 2 * GIB / (0.5 * GIB)


def test_a_slot_that_catches_up_is_not_lost(world: World) -> None:
    for retained in (50 * GIB, 40 * GIB, 30 * GIB):
        world.rows = [_slot(retained, 60 * GIB)]
        (row,) = world.look("replication_slot")
        world.now += 60
    assert row["loss_seconds"] is None
    assert row["fate"] == "and may keep 60 GiB more"


def test_before_17_a_slot_is_idle_since_we_saw_it_so(world: World) -> None:
    def idle(**changed: object) -> object:
        world.rows = [_slot(1.0, None, **changed)]
        (row,) = world.look("replication_slot_inactive")
        world.now += 100
        return row["inactive_seconds"]

    assert [idle(), idle(), idle(active=1), idle(), idle()] == [0.0, 100.0, 0.0, 0.0, 100.0]
    assert idle(inactive_seconds=7200.0) == 7200.0
