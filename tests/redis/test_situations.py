"""All checks of the catalogue under the ways servers are run and monitors are let in.

Nowhere may a check fail: it judges, or says which right, setting, role or command it would need.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Outcome, Reason, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.harness import ports
from tests.harness.binaries import REDIS_KINDS, RedisKind, redis_server
from tests.harness.process import ServerProcess, remove_dir, server_dir
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually
from tests.redis.authority import Authority
from tests.redis.targets import ADAPTER, lane_for, target_of

CHECKS: tuple[Check, ...] = tuple(
    check
    for path in sorted((bundled("checks") / "redis").glob("*.yaml"))
    if not (check := load_check(path, Engine.REDIS)).on_demand
)
ABOUT_THE_SERVER = frozenset({Reason.PLATFORM, Reason.SETTING, Reason.ROLE, Reason.VERSION})


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look; `admin` is a server to give orders to, if any."""

    target: Target
    admin: RedisServer | None = None


@contextmanager
def least_privilege(kind: RedisKind, _: Authority) -> Iterator[Place]:
    with RedisServer(kind) as server:
        server.command("ACL", "SETUSER", "watcher", "reset", "on", ">pw", "+info", "+ping")
        yield Place(target_of(server.url(user="watcher", password="pw")), server)


@contextmanager
def config_renamed(kind: RedisKind, _: Authority) -> Iterator[Place]:
    with RedisServer(kind, config={"rename-command": 'CONFIG ""'}) as server:
        yield Place(target_of(server.url()), server)


@contextmanager
def over_tls(kind: RedisKind, authority: Authority) -> Iterator[Place]:
    claim = ports.claim()
    config = {**authority.config, "tls-port": str(claim.number), "tls-auth-clients": "no"}
    with RedisServer(kind, config=config) as server:
        yield Place(target_of(f"rediss://localhost:{claim.number}/0?sslrootcert={authority.ca}"), server)


@contextmanager
def over_a_socket(kind: RedisKind, _: Authority) -> Iterator[Place]:
    folder = server_dir("sock")
    with RedisServer(kind, config={"unixsocket": str(folder / "redis.sock"), "unixsocketperm": "700"}) as server:
        yield Place(target_of(f"unix://{folder / 'redis.sock'}"), server)
    remove_dir(folder)


@contextmanager
def on_a_replica(kind: RedisKind, _: Authority) -> Iterator[Place]:
    with RedisServer(kind) as primary:
        yield Place(target_of(primary.replica().url()))


@contextmanager
def on_a_cluster_node(kind: RedisKind, _: Authority) -> Iterator[Place]:
    with RedisServer(kind, config={"cluster-enabled": "yes"}) as node:
        yield Place(target_of(node.url()), node)


@contextmanager
def on_a_sentinel(kind: RedisKind, _: Authority) -> Iterator[Place]:
    folder, claim = server_dir("sentinel"), ports.claim()
    conf = folder / "sentinel.conf"
    with RedisServer(kind) as primary:
        conf.write_text(f"port {claim.number}\ndir {folder}\nsentinel monitor main 127.0.0.1 {primary.port} 1\n")
        process = ServerProcess([redis_server(kind), conf, "--sentinel"], log=folder / "log")
        target = target_of(f"redis://127.0.0.1:{claim.number}/0")
        try:
            eventually(lambda: ADAPTER.reach(target, Deadline.after(20)).rows[0]["up"] == 1.0, what="the sentinel")
            yield Place(target)
        finally:
            process.kill()
            remove_dir(folder)
            claim.release()


Situation: TypeAlias = Callable[[RedisKind, Authority], AbstractContextManager[Place]]
CASES = [
    *((kind, place) for kind in REDIS_KINDS for place in (least_privilege, on_a_replica)),
    *((kind, place) for kind in ("redis-6.2", "valkey-9.1") for place in (on_a_sentinel, on_a_cluster_node)),
    ("redis-7.0", config_renamed),
    ("redis-7.0", over_tls),
    ("redis-7.0", over_a_socket),
]


@pytest.mark.parametrize(("kind", "situation"), CASES, ids=lambda part: getattr(part, "__name__", part))
def test_no_check_fails(kind: RedisKind, situation: Situation, authority: Authority, watchdog: Watchdog) -> None:
    with situation(kind, authority) as place, complaints(place) as complained:
        lane = lane_for(place.target, CHECKS, Store(), watchdog)
        for outcome in looked_at(lane):
            assert outcome.reason in (None, Reason.NO_BASELINE) or outcome.status is Status.SKIPPED, told(outcome)
        before = complained()
        outcomes = looked_at(lane)
        after = complained()
        lane.close()
    assert after == before, "a command that was refused or unknown was sent again"
    assert sum(outcome.status is not Status.SKIPPED for outcome in outcomes) >= 3
    allowed = {*ABOUT_THE_SERVER, *([Reason.PRIVILEGE] if situation is least_privilege else [])}
    for outcome in outcomes:
        assert outcome.status is not Status.UNKNOWN, told(outcome)
        if outcome.status is Status.SKIPPED:
            assert outcome.reason in allowed, told(outcome)
            assert len(outcome.summary) > 10, told(outcome)


@pytest.mark.parametrize("kind", REDIS_KINDS)
def test_what_a_skipped_check_asks_for_is_enough(kind: RedisKind, authority: Authority, watchdog: Watchdog) -> None:
    with least_privilege(kind, authority) as place, ExitStack() as closing:
        assert place.admin is not None
        lane = lane_for(place.target, CHECKS, Store(), watchdog)
        closing.callback(lane.close)
        looked_at(lane)
        refused = [outcome for outcome in looked_at(lane) if outcome.reason is Reason.PRIVILEGE]
        assert {outcome.check for outcome in refused} >= {"redis_persistence_off"}
        for outcome in refused:
            assert re.fullmatch(r"ACL SETUSER watcher \+info \+ping( \+[a-z|]+)+", outcome.remedy or ""), told(outcome)
            place.admin.command("ACL", "SETUSER", "watcher", "reset", "on", ">pw")
            place.admin.command(*str(outcome.remedy).split())
            checks = [check for check in CHECKS if check.name == outcome.check]
            allowed = lane_for(place.target, checks, Store(), watchdog)
            allowed.run(outcome.check)
            again = allowed.run(outcome.check)
            allowed.close()
            assert again.reason in (None, *ABOUT_THE_SERVER), f"{outcome.remedy} is not enough: {told(again)}"


def looked_at(lane: Lane) -> list[Outcome]:
    return [lane.run(name) for name in lane.checks]


@contextmanager
def complaints(place: Place) -> Iterator[Callable[[], object]]:
    """A way to ask what the server has noted of refused and of unknown commands.

    On one connection: redis-py tries commands at each new one that older servers do not know.
    """
    if place.admin is None:
        yield lambda: None
        return
    with place.admin.connect() as admin:

        def noted() -> object:
            refused = sum(int(entry["count"]) for entry in admin.execute_command("ACL", "LOG"))
            return refused, admin.info("errorstats").get("errorstat_ERR")

        yield noted


def told(outcome: Outcome) -> str:
    return f"{outcome.check}: {outcome.status} {outcome.reason} {outcome.summary} {outcome.remedy}"
