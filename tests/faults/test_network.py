"""Six ways to one server, each with a fault of its own, a server that starts, and one way that is well: one daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from dbwatch.turns import MOST_HASTY_TURNS
from tests.acceptance.sampler import Sampler, Window, assert_always_answered
from tests.harness.daemon import Daemon
from tests.harness.fakepg import FakePg
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.series import reason, status, up
from tests.harness.waiting import eventually

CHECKS = ("server_unreachable", "idle_in_transaction", "blocked_session", "connections_saturated")
CONFIG = """\
defaults:
  connect_timeout: 2s
  intervals: {server_unreachable: 1s, idle_in_transaction: 1s, blocked_session: 1s, connections_saturated: 1s}
  profile: minimal
  checks: {enable: [idle_in_transaction, blocked_session, connections_saturated]}
targets:
"""
FAULTS: Mapping[str, tuple[Callable[[Proxy], None], str]] = {
    "deaf": (Proxy.deaf, "timeout"),
    "freeze": (Proxy.freeze, "timeout"),
    "drip": (lambda proxy: proxy.drip(60), "timeout"),
    "reset": (Proxy.reset, "connection_lost"),
    "cut": (lambda proxy: proxy.cut_after(150), "connection_lost"),
    "cut-later": (lambda proxy: proxy.cut_after(1200), "connection_lost"),
}


@dataclass(frozen=True, slots=True)
class Journey:
    """What was seen from before the faults until all had healed, and the status document while they lasted."""

    window: Window
    during: Mapping[str, Any]
    log: list[str]

    def unreachable(self, target: str) -> Mapping[str, Any]:
        """What `server_unreachable` said of it while its fault lasted."""
        (entry,) = (entry for entry in self.during["targets"] if entry["target"] == target)
        (check,) = (check for check in entry["checks"] if check["check"] == "server_unreachable")
        found: Mapping[str, Any] = check
        return found

    def failed_as(self, target: str, word: str) -> bool:
        """It gave this reason and no other, was down meanwhile, and was up at the end."""
        last = self.window.scrapes[-1].lines
        seen = self.window.saw(up(target, 0)) and self.window.saw(status(target, "idle_in_transaction", 3))
        return seen and self.window.reasons(target) == {word} and up(target, 1) in last


@pytest.fixture(scope="module")
def journey(postgres: Callable[[int], Postgres]) -> Iterator[Journey]:
    server = postgres(18)
    with ExitStack() as running:
        proxies = {name: running.enter_context(Proxy(server.port)) for name in FAULTS}
        starting = running.enter_context(FakePg("57P03", "the database system is starting up"))
        url = server.create_monitor_role("traveller", grants=("pg_monitor", "pg_read_all_data"))
        urls = {"direct": url, "starting": starting.url()}
        urls |= {name: proxy.url(url) for name, proxy in proxies.items()}
        text = "".join(f"  - {{name: {name}, engine: postgres, url: '{url}'}}\n" for name, url in urls.items())
        daemon = running.enter_context(Daemon(config_text=CONFIG + text))
        daemon.wait_ready()
        for name in (*FAULTS, "direct"):
            daemon.wait_metric(up(name, 1))
        sampler = running.enter_context(Sampler(daemon.port, CHECKS))
        with sampler.window() as window:
            for name, (break_, _) in FAULTS.items():
                break_(proxies[name])
            for name in FAULTS:
                daemon.wait_metric(up(name, 0))
            for name, (_, word) in FAULTS.items():
                daemon.wait_metric(reason(name, "idle_in_transaction", word))
            daemon.wait_metric(status("deaf", "server_unreachable", 2))
            during = daemon.status()
            for proxy in proxies.values():
                proxy.pass_()
            for name in FAULTS:
                daemon.wait_metric(up(name, 1), timeout=45)
                for check in CHECKS:
                    daemon.wait_metric(status(name, check, 0))
            healed = len(sampler._scrapes)
            eventually(lambda: len(sampler._scrapes) > healed + 1, what="a page after all have healed")
        yield Journey(window, during, daemon.log_lines())


def test_row_04_a_server_that_starts_is_not_ready_and_not_critical(journey: Journey) -> None:
    assert journey.window.reasons("starting") == {"not_ready"}
    assert journey.window.saw(status("starting", "server_unreachable", 1))
    assert not [check for check in CHECKS if journey.window.saw(status("starting", check, 2))]


def test_row_05_a_silent_port_is_a_timeout_at_the_connect_limit(journey: Journey) -> None:
    assert journey.failed_as("deaf", "timeout")
    found = journey.unreachable("deaf")["findings"][0]
    assert "no answer within the connect time limit" in found["message"]


def test_row_05_nobody_else_notices(journey: Journey) -> None:
    assert_always_answered(journey.window)
    assert journey.window.lines_of("direct", "dbwatch_target_up") == {up("direct", 1)}
    assert journey.window.reasons("direct") == set()
    assert not [line for line in journey.log if "Traceback" in line or '"level": "error"' in line]


def test_row_08_packets_that_vanish_are_a_timeout(journey: Journey) -> None:
    assert journey.failed_as("freeze", "timeout")


def test_row_09_an_answer_that_trickles_in_is_a_timeout(journey: Journey) -> None:
    assert journey.failed_as("drip", "timeout")


@pytest.mark.parametrize("way", ["reset", "cut", "cut-later"])
def test_row_10_a_connection_that_is_cut_is_lost(journey: Journey, way: str) -> None:
    assert journey.failed_as(way, "connection_lost")


def test_found_a_way_that_opens_and_closes_all_the_time_does_not_fill_the_log(journey: Journey) -> None:
    """A proxy lets us in and cuts us off with every run. The log says a few times that the target went down and came
    back, and then that it does so all the time."""
    for name in FAULTS:
        told = [line for line in journey.log if f'"target": "{name}"' in line and '"event": "target' in line]
        assert 1 <= len(told) <= MOST_HASTY_TURNS + 2, name
    assert not [line for line in journey.log if "check changed" in line and '"unknown"' in line]
