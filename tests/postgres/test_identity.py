"""What befell a server between two looks is told as it was: restart, crash, promotion, another server."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psycopg
import pytest

from dbwatch.model import Outcome, Role, Status
from tests.conftest import FreshPostgres, wanted_majors
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.waiting import eventually
from tests.postgres.watching import watching


def _told(outcome: Outcome) -> str:
    assert outcome.status is Status.WARNING, outcome
    return outcome.findings[0].message


def _crash_a_backend(server: Postgres) -> None:
    """Kill one session's process as the kernel does, and wait until the server has recovered."""
    born = "select backend_start from pg_stat_activity where backend_type = 'checkpointer'"
    before = server.sql(born)[0][0]
    with server.connect() as victim:
        os.kill(victim.info.backend_pid, signal.SIGKILL)
    eventually(
        lambda: (rows := server.sql(born)) and rows[0][0] > before,
        ignoring=(psycopg.OperationalError, TypeError),
        timeout=30,
        what="the server has recovered",
    )


@pytest.mark.parametrize("major", wanted_majors())
def test_restarts_are_told_by_kind(major: int, fresh_postgres: FreshPostgres) -> None:
    server = fresh_postgres(major)
    with watching("server_restarted") as watch:
        watch.add("a", server)
        assert watch.look("a").status is Status.OK
        assert watch.look("a").status is Status.OK

        server.restart("fast")
        watch.reconnect("a")
        assert "restarted after a clean shutdown; up for" in _told(watch.look("a"))

        server.restart("immediate")
        watch.reconnect("a")
        assert "without a clean shutdown (crash, kill or immediate stop)" in _told(watch.look("a"))

        # A person's reset of one view is no crash.
        server.sql("select pg_stat_reset_shared('bgwriter')")
        assert watch.look("a").rows[0].values["restarts"] == 2

        _crash_a_backend(server)
        watch.reconnect("a")
        outcome = watch.look("a")
        assert "ended all sessions and recovered, because one of its processes had crashed" in _told(outcome)
        assert outcome.rows[0].values["restarts"] == 3


@pytest.mark.parametrize("major", wanted_majors())
def test_a_standby_that_restarts(major: int, fresh_postgres: FreshPostgres) -> None:
    primary = fresh_postgres(major)
    primary.create_monitor_role()
    standby = primary.standby()
    with watching("server_restarted") as watch:
        watch.add("a", standby)
        assert watch.look("a").status is Status.OK
        standby.restart("fast")
        watch.reconnect("a")
        message = _told(watch.look("a"))
        assert message.startswith(
            "the server restarted after a clean" if major >= 15 else "the server restarted; up for"
        )
        # A promotion in between is none.
        standby.promote()
        assert watch.look("a").rows[0].values["restarts"] == 1


def test_another_server_behind_the_address_is_no_restart(
    fresh_postgres: FreshPostgres, proxy_to: Callable[[int], Proxy]
) -> None:
    major = max(wanted_majors())
    other, first = fresh_postgres(major), fresh_postgres(major)
    other.create_monitor_role()
    proxy = proxy_to(first.port)
    with watching("server_restarted") as watch:
        watch.add("a", first, port=proxy.port)
        assert watch.look("a").status is Status.OK
        proxy.upstream = ("127.0.0.1", other.port)
        watch.reconnect("a")
        assert "was replaced behind this address by one that was running already" in _told(watch.look("a"))


@pytest.mark.parametrize("major", wanted_majors())
def test_promotion_and_demotion(major: int, fresh_postgres: FreshPostgres) -> None:
    primary = fresh_postgres(major)
    primary.create_monitor_role()
    standby = primary.standby()
    with watching("role_changed") as watch:
        watch.add("a", standby, role=Role.STANDBY)
        assert watch.look("a").status is Status.OK
        standby.promote()
        outcome = watch.look("a")
        assert outcome.status is Status.CRITICAL
        assert outcome.findings[0].message == (
            "this server is a primary and is meant to be a standby; "
            "the standby was promoted: it is a primary on timeline 2"
        )
        # Demoted again: a standby of its own past, which is enough to be in recovery.
        standby.stop()
        (standby.data / "standby.signal").touch()
        standby.start()
        watch.reconnect("a")
        assert "the primary became a standby" in _told(watch.look("a"))


def test_another_primary_is_seen_by_its_timeline(fresh_postgres: FreshPostgres) -> None:
    """What a virtual address does in a failover from one primary to the other between two looks."""
    primary = fresh_postgres(max(wanted_majors()))
    with watching("role_changed") as watch:
        watch.add("a", primary)
        assert watch.look("a").status is Status.OK
        primary.stop()
        (primary.data / "standby.signal").touch()
        primary.start()
        primary.promote()
        watch.reconnect("a")
        assert _told(watch.look("a")) == "another primary, or a restored one: timeline 2, it was 1"


def test_another_cluster_behind_the_address(fresh_postgres: FreshPostgres, proxy_to: Callable[[int], Proxy]) -> None:
    first, other = (fresh_postgres(max(wanted_majors()), own_identity=True) for _ in range(2))
    other.create_monitor_role()
    proxy = proxy_to(first.port)
    with watching("cluster_replaced") as watch:
        watch.add("a", first, port=proxy.port)
        for _ in range(2):
            assert watch.look("a").status is Status.OK
        proxy.upstream = ("127.0.0.1", other.port)
        watch.reconnect("a")
        assert _told(watch.look("a")).startswith("the address leads to another cluster than before (system identifier")
