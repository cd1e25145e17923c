"""What is done to a server, a role or an address while we are connected, and our session lies idle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dbwatch import backoff, node
from dbwatch.model import Reason, Role, Status
from tests.conftest import FreshPostgres, end_majors
from tests.faults.bench import bench, bundled, own_check, target_of
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.waiting import eventually

VERSION = "pg_catalog.current_setting('server_version_num')::int"
RECOVERING = "case when pg_catalog.pg_is_in_recovery() then 1000 else 0 end"
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE usename = %s"


@pytest.fixture
def role(newest_pg: Postgres) -> Iterator[str]:
    """A monitoring role that a test may spoil."""
    newest_pg.create_monitor_role("spoiled")
    yield "spoiled"
    newest_pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('spoiled', 'renamed')")
    newest_pg.sql("DROP ROLE IF EXISTS spoiled; DROP ROLE IF EXISTS renamed")


def test_found_sessions_are_ended_for_being_idle(newest_pg: Postgres, role: str, tmp_path: Path) -> None:
    """`idle_session_timeout` is shorter than our pauses, and every session is dead when it is used again. That is
    noticed before the query, a new one is opened, and no run fails."""
    with bench(target_of(newest_pg.url(role)), [own_check(tmp_path, "mail")]) as site:
        for _ in range(3):
            assert site.look("mail").answered
            # What the setting does, at a moment of our choosing: on a busy machine it would strike inside a run.
            newest_pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])
            eventually(lambda: newest_pg.sql(BACKENDS, [role]) == [], what="the server has ended our session")
        assert site.events("target down") == []


def test_found_the_right_to_see_is_taken_away(newest_pg: Postgres, role: str) -> None:
    """`pg_monitor` is revoked while we are connected, and the server shows NULL where numbers were. The checks that
    need it are skipped at once, not when the facts are read anew."""
    url = newest_pg.url(role)
    with bench(target_of(url), bundled(url)) as site, newest_pg.connect() as other:
        other.execute("BEGIN")
        assert site.look("idle_in_transaction").answered
        newest_pg.sql(f"REVOKE pg_monitor FROM {role}")
        outcome = site.look("idle_in_transaction")
        assert (outcome.status, outcome.reason) == (Status.SKIPPED, Reason.PRIVILEGE)
        assert outcome.rows == ()
        assert outcome.remedy is not None
        assert f"TO {role};" in outcome.remedy
        newest_pg.sql(f"GRANT pg_monitor TO {role}")
        assert site.look("idle_in_transaction").answered


@pytest.mark.parametrize("how", ["renamed", "dropped"])
def test_found_our_role_is_renamed_or_dropped(newest_pg: Postgres, role: str, how: str) -> None:
    """Somebody renames or drops our role while we are connected. The session says nothing false, and the next one says
    that we are not let in."""
    url = newest_pg.url(role)
    with bench(target_of(url), bundled(url)) as site:
        assert site.look("idle_in_transaction").answered
        newest_pg.sql(f"ALTER ROLE {role} RENAME TO renamed" if how == "renamed" else f"DROP ROLE {role}")
        outcomes = site.look_at_all()
        assert not [event for event in site.events() if "exception" in event]
        if how == "renamed":
            assert outcomes["idle_in_transaction"].answered
        else:
            assert (outcomes["idle_in_transaction"].status, outcomes["idle_in_transaction"].rows) != (Status.OK, ())
            assert not outcomes["idle_in_transaction"].answered
        assert outcomes["server_unreachable"].status is Status.CRITICAL
        site.lane.close()
        assert site.look("idle_in_transaction").reason is Reason.AUTH
        assert "does not exist" in site.state.message


def redirect(proxy: Proxy, server: Postgres) -> None:
    """The address leads to another server, also for those who are connected: their connections are cut."""
    proxy.upstream = ("127.0.0.1", server.port)
    proxy.reset()
    proxy.pass_()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "_FIRST_BACKOFF", 0.1)


@pytest.mark.usefixtures("eager")
def test_found_the_address_leads_to_another_major(
    postgres: Callable[[int], Postgres], proxy_to: Callable[[int], Proxy], tmp_path: Path
) -> None:
    """A server is replaced by one of another major version under the same address. The next run has the plan of that
    version, and counters of the two are not subtracted from each other."""
    oldest, newest = postgres(end_majors()[0]), postgres(end_majors()[-1])
    if oldest is newest:
        pytest.skip("needs two majors")
    newest.create_monitor_role()
    proxy = proxy_to(oldest.port)
    url = proxy.url(oldest.create_monitor_role())
    counting = own_check(tmp_path, "counting", f"select 'x' as queue, {VERSION} as length", counter=True)
    with bench(target_of(url), (*bundled(url), counting)) as site:
        assert site.look("counting").reason is Reason.NO_BASELINE
        assert site.look("counting").status is Status.OK
        redirect(proxy, newest)
        eventually(lambda: site.look("server_unreachable").status is Status.OK, every=0.1, what="the other answers")
        assert site.look("counting").reason is Reason.NO_BASELINE, "not a leap of 40,000"
        assert site.state.facts is not None
        assert site.state.facts.major == newest.major
        outcomes = site.look_at_all()
        unknown = {name: o for name, o in outcomes.items() if o.status is Status.UNKNOWN}
        assert {o.reason for o in unknown.values()} <= {Reason.NO_BASELINE}, unknown


@pytest.mark.usefixtures("eager")
def test_found_the_address_fails_over_to_a_standby(
    fresh_postgres: FreshPostgres, proxy_to: Callable[[int], Proxy], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The address moves to a standby of the same cluster, which has counted its own events. Nothing that happened there
    in the past is told as happening now."""
    monkeypatch.setattr(node, "CLOCKS_APART_SECONDS", 0.0)
    primary = fresh_postgres(end_majors()[-1])
    proxy = proxy_to(primary.port)
    url = proxy.url(primary.create_monitor_role())
    standby = primary.standby()
    counting = own_check(tmp_path, "counting", f"select 'x' as queue, {RECOVERING} as length", counter=True)
    with bench(target_of(url), [counting, own_check(tmp_path, "mail")]) as site:
        for _ in range(2):
            site.look("counting")
        redirect(proxy, standby)
        eventually(lambda: site.look("mail").answered, every=0.1, what="the other answers")
        assert site.look("counting").reason is Reason.NO_BASELINE
        assert site.state.facts is not None
        assert site.state.facts.role is Role.STANDBY


@pytest.mark.usefixtures("eager")
def test_found_a_restart_does_not_cost_the_last_reading(fresh_postgres: FreshPostgres, tmp_path: Path) -> None:
    """The server behind the address is the same after a restart. Its counters go on, and what grew meanwhile is
    told."""
    server = fresh_postgres(end_majors()[-1])
    started = "extract(epoch from pg_catalog.pg_postmaster_start_time())::float8"
    counting = own_check(tmp_path, "counting", f"select 'x' as queue, {started} as length", counter=True)
    with bench(target_of(server.create_monitor_role()), [counting]) as site:
        for _ in range(2):
            site.look("counting")
        server.restart()
        outcome = eventually(lambda: site.look("counting"), every=0.1)
        assert outcome.status is Status.WARNING, "it grew by the seconds between the two starts"
