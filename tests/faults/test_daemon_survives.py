"""Whatever a database does, the daemon answers every scrape at once, says what is wrong, and recovers by itself.

One daemon watches three servers through all of it, and a scraper asks it twenty times a second.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from signal import SIGKILL

import psycopg
import pytest

from tests.acceptance.sampler import Sampler, Window, assert_always_answered
from tests.faults.head_count import HeadCount
from tests.harness.daemon import Daemon
from tests.harness.freeze import frozen, frozen_tree
from tests.harness.postgres import Postgres, StopMode
from tests.harness.redis import RedisServer
from tests.harness.series import reason, status, up
from tests.harness.waiting import consistently, eventually

QUICK = ("server_unreachable", "idle_in_transaction", "blocked_session", "connections_saturated")
HEAVY = ("table_bloat", "index_bloat", "unused_index")
OF_REDIS = ("redis_unreachable", "redis_replication_broken")
CHECKS = (*QUICK, *HEAVY, *OF_REDIS)
USABLE = 11

CONFIG = """\
defaults:
  connect_timeout: 2s
  intervals:
    server_unreachable: 1s
    idle_in_transaction: 1s
    blocked_session: 1s
    connections_saturated: 1s
    table_bloat: 1s
    index_bloat: 1s
    unused_index: 1s
    redis_unreachable: 1s
    redis_replication_broken: 1s
  profile: minimal
  checks:
    enable: [idle_in_transaction, blocked_session, connections_saturated, table_bloat, index_bloat, unused_index,
      redis_replication_broken]
targets:
"""
LIGHT = "checks: {{disable: [table_bloat, index_bloat, unused_index]}}"
SHOP = f"  - {{{{name: {{name}}, engine: postgres, url: '{{url}}', {LIGHT}}}}}\n"
YARD = "  - {{name: yard, engine: postgres, url: '{url}'}}\n"
CACHE = "  - {{name: cache, engine: redis, url: '{url}'}}\n"


BLOAT_OF_STOCK = 'dbwatch_pg_table_bloat_bytes{database="postgres",relation="stock",schema="public"'


@dataclass(frozen=True, slots=True)
class World:
    """`shop` is what most faults happen to, `yard` and `cache` are the innocent others."""

    daemon: Daemon
    sampler: Sampler
    shop: Postgres
    yard: Postgres
    cache: RedisServer

    def healthy(self, *targets: str) -> bool:
        lines = set(self.daemon.metrics().splitlines())
        fine = {
            "shop": {up("shop", 1), *(status("shop", check, 0) for check in QUICK)},
            "yard": {up("yard", 1), *(status("yard", check, 0) for check in (*QUICK, *HEAVY))},
            "cache": {up("cache", 1, "redis"), *(status("cache", check, 0) for check in OF_REDIS)},
        }
        return all(fine[target] <= lines for target in targets or fine)

    def gauges(self, target: str, prefix: str) -> list[str]:
        page = self.daemon.metrics().splitlines()
        return [line for line in page if line.startswith(prefix) and f'target="{target}"' in line]

    def events(self, name: str) -> list[dict[str, object]]:
        return [event for event in self.daemon.log_events() if event["event"] == name]

    def opened(self, server: Postgres) -> int:
        """How often a session of ours was opened there."""
        return sum("connection authorized: user=dbwatch " in line for line in server.log_lines_since(0))

    def runs(self, target: str, result: str = "ok") -> dict[str, float]:
        """How often each check of the target ended so."""
        (found,) = (entry for entry in self.daemon.status()["targets"] if entry["target"] == target)
        counts = {entry["check"]: entry["runs"].get(result) for entry in found["checks"]}
        return {check: count for check, count in counts.items() if check in CHECKS and count is not None}

    def finding(self, target: str, check: str) -> dict[str, object]:
        """The first finding of a check in the status document, empty when there is none."""
        (found,) = (entry for entry in self.daemon.status()["targets"] if entry["target"] == target)
        (entry,) = (entry for entry in found["checks"] if entry["check"] == check)
        return {"reason": found["reason"], **(entry["findings"][0] if entry["findings"] else {})}

    def our_backends(self, server: Postgres) -> list[int]:
        rows = server.sql(
            "SELECT pid FROM pg_stat_activity WHERE usename = 'dbwatch' AND backend_type = 'client backend'"
        )
        return [pid for (pid,) in rows]

    def held_backend(self, server: Postgres) -> int:
        """The session that stays: the one that is there whenever one looks."""

        def same() -> int:
            first, second = set(self.our_backends(server)), set(self.our_backends(server))
            return min(first & second, default=0) if len(first & second) == 1 else 0

        return eventually(same, what="the session held on the server")

    def goes_on_at_a_lock(self) -> bool:
        """The yard is up, and no session of ours has stood in the queue of a lock for long."""
        long_waits = self.yard.sql(
            "SELECT 1 FROM pg_stat_activity WHERE usename = 'dbwatch' AND wait_event_type = 'Lock'"
            " AND clock_timestamp() - query_start > interval '2 s'"
        )
        return not long_waits and bool(self.gauges("yard", up("yard", 1)))

    @contextmanager
    def fault(self, victim: str = "shop", *, others: tuple[str, ...] = ("yard", "cache")) -> Iterator[Window]:
        """A fault happens and ends inside; after it all is well again, and nobody else has noticed."""

        def well() -> bool:
            return self.healthy(victim, *others)

        eventually(well, timeout=40, every=0.1, what="all is well before the fault")
        mark = len(self.daemon.log_lines())
        before = {target: self.runs(target) for target in others}
        with self.sampler.window() as window:
            yield window
            eventually(well, timeout=45, every=0.1, what="all is well again")
        assert_always_answered(window)
        seconds = window.scrapes[-1].at - window.scrapes[0].at
        for target in others:
            engine = "redis" if target == "cache" else "postgres"
            assert window.lines_of(target, "dbwatch_target_up") == {up(target, 1, engine)}
            assert window.reasons(target) == set()
            for check, count in self.runs(target).items():
                # One a second is meant; a machine that is busy may make it one every three.
                assert count - before[target][check] >= seconds / 3 - 2, (target, check, seconds)
        lines = self.daemon.log_lines()[mark:]
        assert not [line for line in lines if "Traceback" in line or '"level": "error"' in line]
        assert len(lines) < 80, lines


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    slots = {"max_connections": str(USABLE + 3), "superuser_reserved_connections": "3", "log_connections": "on"}
    with ExitStack() as running:
        shop = running.enter_context(Postgres(18, settings=slots, name="shop"))
        yard = running.enter_context(Postgres(18, name="yard"))
        cache = running.enter_context(RedisServer("redis-7.0"))
        grants = ("pg_monitor", "pg_read_all_data")
        urls = [server.create_monitor_role(grants=grants) for server in (shop, yard)]
        shop.sql("CREATE ROLE app LOGIN")
        yard.create_database("second")
        yard.sql("CREATE TABLE stock (id int PRIMARY KEY, note text)")
        yard.sql("INSERT INTO stock SELECT i, repeat('x', 500) FROM generate_series(1, 30000) i")
        yard.sql("VACUUM ANALYZE stock")
        text = CONFIG + SHOP.format(name="shop", url=urls[0]) + YARD.format(url=urls[1]) + CACHE.format(url=cache.url())
        daemon = running.enter_context(Daemon(config_text=text))
        daemon.wait_ready()
        sampler = running.enter_context(Sampler(daemon.port, CHECKS))
        yield World(daemon, sampler, shop, yard, cache)


@pytest.fixture(autouse=True)
def crowd(world: World) -> Iterator[None]:
    with HeadCount(world.yard) as yard, HeadCount(world.shop) as shop:
        yield
    assert yard.most <= 2
    assert shop.most <= 2


def test_row_06_our_backend_is_frozen(world: World) -> None:
    with world.fault() as window, frozen(world.held_backend(world.shop)):
        eventually(lambda: "timeout" in str(world.gauges("shop", "dbwatch_check_reason")), every=0.01)
        # The next run has another session, beside the frozen one.
        eventually(world.healthy, timeout=20, every=0.1, what="well beside the stopped backend")
    assert window.reasons("shop") <= {"timeout"}
    assert "the connection was shut" in str(world.events("target down")[-1])


def test_row_07_the_postmaster_is_frozen_and_then_all_of_the_server(world: World) -> None:
    with world.fault() as window:
        assert world.gauges("shop", "dbwatch_pg_connections")
        with frozen(world.shop.postmaster_pid):
            world.daemon.wait_metric(status("shop", "server_unreachable", 2))
            assert world.finding("shop", "server_unreachable")["reason"] == "timeout"
            before = world.runs("shop")["idle_in_transaction"]
            eventually(lambda: world.runs("shop")["idle_in_transaction"] >= before + 2, what="the held session reports")
        assert window.reasons("shop") == set()
        with frozen_tree(world.shop.postmaster_pid):
            world.daemon.wait_metric(up("shop", 0))
            eventually(lambda: not world.gauges("shop", "dbwatch_pg_connections"))
            world.daemon.wait_metric(status("shop", "server_unreachable", 2))
            for check in set(QUICK) - {"server_unreachable"}:
                world.daemon.wait_metric(reason("shop", check, "timeout"))
                assert world.gauges("shop", status("shop", check, 3))
            found = world.finding("shop", "server_unreachable")
            assert found["reason"] == "timeout"
            assert "no answer within" in str(found["message"])
            # What is left is what the connect probe has measured itself.
            left = {line.partition("{")[0] for line in world.gauges("shop", "dbwatch_pg_")}
            assert not {name for name in left if not name.startswith(("dbwatch_pg_connect", "dbwatch_pg_up"))} - {
                "dbwatch_pg_starting"
            }
    assert window.reasons("shop") <= {"timeout"}


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_row_02_the_server_is_away_for_a_while(world: World, mode: StopMode) -> None:
    with world.fault() as window:
        world.shop.stop(mode)
        world.daemon.wait_metric(up("shop", 0))
        world.daemon.wait_metric(status("shop", "server_unreachable", 2))
        world.daemon.wait_metric(reason("shop", "idle_in_transaction", "refused"))
        assert world.gauges("shop", status("shop", "idle_in_transaction", 3))
        assert world.finding("shop", "server_unreachable")["reason"] == "refused"
        world.shop.start()
    assert window.reasons("shop") <= {"refused", "connection_lost", "not_ready"}


def test_row_02_a_quick_restart_costs_a_run_at_most(world: World) -> None:
    with world.fault() as window:
        held, mark = world.held_backend(world.shop), len(world.daemon.log_lines())
        failed = world.runs("shop", "unknown")
        world.shop.restart("fast")
        eventually(lambda: world.held_backend(world.shop) != held)
    assert window.reasons("shop") <= {"refused", "connection_lost", "not_ready"}
    for check, count in world.runs("shop", "unknown").items():
        assert count - failed.get(check, 0) <= 1, check
    assert len([line for line in world.daemon.log_lines()[mark:] if '"target": "shop"' in line]) <= 2


def test_row_03_a_crashed_process_makes_the_server_recover(world: World) -> None:
    """The recovery waits for a session that does not end, as long as we hold it: time enough to be seen."""
    with world.fault() as window, ExitStack() as sessions:
        victim, last = (sessions.enter_context(world.shop.connect()).info.backend_pid for _ in range(2))
        with frozen(last):
            os.kill(victim, SIGKILL)
            world.daemon.wait_metric(reason("shop", "idle_in_transaction", "not_ready"))
            world.daemon.wait_metric(status("shop", "server_unreachable", 1))
    assert window.reasons("shop") <= {"not_ready", "connection_lost", "refused"}
    assert not window.saw(status("shop", "server_unreachable", 2))
    values = [line for line in world.gauges("shop", "dbwatch_pg_") if float(line.rpartition(" ")[2]) < 0]
    assert values == []


def test_found_our_session_is_terminated_again_and_again(world: World) -> None:
    """Somebody ends our session whenever it is there. A session that ended while it was idle costs no run, and every
    run opens one more at most."""
    with world.fault() as window:
        opened, failed = world.opened(world.shop), sum(world.runs("shop", "unknown").values())
        before = sum(world.runs("shop").values())
        for _ in range(5):
            held = world.held_backend(world.shop)
            world.shop.sql("SELECT pg_terminate_backend(%s)", [held])
            eventually(lambda held=held: world.held_backend(world.shop) != held)  # type: ignore[misc]
        runs = sum(world.runs("shop").values()) + sum(world.runs("shop", "unknown").values()) - before - failed
        assert 5 <= world.opened(world.shop) - opened <= runs + 1
    assert window.reasons("shop") <= {"connection_lost"}
    assert not window.saw(status("shop", "server_unreachable", 2))


def test_row_13_the_server_is_full(world: World) -> None:
    """The session we hold goes on; the probe says what everybody else meets."""
    eventually(world.healthy, timeout=40, every=0.1, what="all is well before the fault")
    with world.sampler.window() as window:
        held, mark, started = world.held_backend(world.shop), world.shop.log_mark(), time.monotonic()
        with ExitStack() as crowd:

            def fill() -> bool:
                try:
                    crowd.enter_context(world.shop.connect("app", connect_timeout=2))
                except psycopg.OperationalError as error:
                    return "slots" in str(error) or "too many" in str(error)
                return False

            eventually(fill, every=0.01)
            world.daemon.wait_metric(status("shop", "server_unreachable", 2))
            world.daemon.wait_metric(status("shop", "connections_saturated", 2))
            found = world.finding("shop", "server_unreachable")
            assert found["reason"] == "too_many_connections"
            assert world.gauges("shop", up("shop", 0))
            before = world.runs("shop")["idle_in_transaction"]
            eventually(lambda: world.runs("shop")["idle_in_transaction"] >= before + 2)
            assert world.held_backend(world.shop) == held
            attempts = [line for line in world.shop.log_lines_since(mark) if " dbwatch@" in line and "FATAL" in line]
            assert len(attempts) <= 1 + (time.monotonic() - started) / 20
    assert_always_answered(window)
    assert window.reasons("shop") == set()


def test_row_53_redis_is_frozen(world: World) -> None:
    with world.fault("cache", others=("yard",)) as window, frozen(world.cache.pid):
        world.daemon.wait_metric(up("cache", 0, "redis"))
        world.daemon.wait_metric(status("cache", "redis_unreachable", 2))
        world.daemon.wait_metric(reason("cache", "redis_replication_broken", "timeout"))
        assert world.gauges("cache", status("cache", "redis_replication_broken", 3))
        assert world.finding("cache", "redis_unreachable")["reason"] == "timeout"
    assert window.reasons("cache") <= {"timeout", "no_baseline"}


def test_row_17_a_table_is_locked_against_everybody(world: World) -> None:
    with world.fault("yard", others=("cache",)) as window:
        assert world.gauges("yard", BLOAT_OF_STOCK)
        with world.yard.connect() as owner, owner.transaction():
            owner.execute("LOCK TABLE stock IN ACCESS EXCLUSIVE MODE")
            before = world.runs("yard")
            eventually(lambda: not world.gauges("yard", BLOAT_OF_STOCK), what="what cannot be seen is not said")
            consistently(lambda: world.goes_on_at_a_lock(), during=3, every=0.1)
            assert not world.gauges("yard", BLOAT_OF_STOCK)
            assert world.runs("yard")["idle_in_transaction"] > before["idle_in_transaction"]
        eventually(lambda: world.gauges("yard", BLOAT_OF_STOCK), what="what can be seen again is said again")
    assert window.reasons("yard") <= {"lock"}


def test_row_18_somebody_waits_for_the_lock_behind_a_reader(world: World) -> None:
    """The waiting lock request holds up everybody who comes later; we must not stand in that queue for long."""
    with world.fault("yard", others=("cache",)) as window, ExitStack() as sessions:
        reader, waiter = (sessions.enter_context(world.yard.connect()) for _ in range(2))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM stock")

        def queue() -> None:
            with waiter.transaction():
                waiter.execute("LOCK TABLE stock IN ACCESS EXCLUSIVE MODE")

        patient = threading.Thread(target=queue)
        patient.start()
        eventually(lambda: world.yard.sql("SELECT 1 FROM pg_locks WHERE NOT granted"))
        consistently(lambda: world.goes_on_at_a_lock(), during=4, every=0.1)
        reader.execute("COMMIT")
        patient.join(10)
        assert not patient.is_alive()
    assert window.reasons("yard") <= {"lock"}


def test_row_01_the_server_is_not_there_at_the_start() -> None:
    with Postgres(18) as server:
        text = CONFIG + SHOP.format(name="shop", url=server.create_monitor_role())
        server.stop()
        with Daemon(config_text=text) as daemon, Sampler(daemon.port, CHECKS) as sampler:
            with sampler.window() as window:
                assert up("shop", 0) in daemon.metrics().splitlines()
                daemon.wait_ready(timeout=10)
                daemon.wait_metric(status("shop", "server_unreachable", 2))
                daemon.wait_metric(up("shop", 0))
                assert [line for line in daemon.log_lines() if "check changed" in line] == []
                server.start()
                daemon.wait_metric(up("shop", 1))
                for check in QUICK:
                    daemon.wait_metric(status("shop", check, 0))
            assert_always_answered(window)
            assert "refused" in window.reasons("shop") <= {"refused", "not_ready"}
            assert not [line for line in daemon.log_lines() if "Traceback" in line]


def test_row_13_a_new_session_is_opened_when_there_is_room_again(world: World) -> None:
    """Half a minute after the last attempt, most of which the tests before have spent."""
    eventually(world.healthy, timeout=45, every=0.1, what="all is well again")
