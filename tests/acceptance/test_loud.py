"""Every operational fault, made for real, is found by the daemon within one interval, and the right culprit is named.

Ages that take minutes by default are seconds here: a fault is young in a test. Nothing else of the checks is changed.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance import misfortune
from tests.acceptance.misfortune import SHOP, Misfortune, befallen
from tests.conftest import end_majors
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

EVERY_SECONDS = 11.0
"""Longer than any time limit of a check, as a check's interval has to be."""
SLACK_SECONDS = 10.0

YOUNG = {
    "idle_in_transaction": {"warning": "oldest_seconds > 1s"},
    "long_transaction": {"warning": "work == 'client' and age_seconds > 1s"},
    "long_query": {"warning": "work == 'client' and age_seconds > 1s"},
    "blocked_session": {"warning": "longest_wait_seconds > 1s"},
    "prepared_transaction": {"warning": "age_seconds > 1s"},
    "replication_slot_inactive": {"warning": "inactive_seconds >= 0"},
    "xmin_horizon_held": {"warning": "xmin_age > 200"},
    "temp_file_spill": {"warning": "delta(written_bytes) > 1MiB"},
}

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True, slots=True)
class Sign:
    """What must be said: the target, the check, at least which status, a key, and words of the finding and its fix."""

    target: str
    check: str
    status: str
    key: str
    words: str
    fix: str = ""


SIGNS = (
    Sign("loaded", "connections_saturated", "warning", "", "hog"),
    Sign("loaded", "role_connections_saturated", "critical", "hog", "leaky pool"),
    Sign("loaded", "database_connections_saturated", "warning", re.escape(SHOP), "hog"),
    Sign("loaded", "idle_in_transaction", "warning", "dr.eamer", "cron job", "pg_terminate_backend"),
    Sign("loaded", "idle_in_transaction", "warning", "failer", "careless app"),
    Sign("loaded", "long_transaction", "warning", "dr.eamer", "cron job"),
    Sign("loaded", "long_query", "warning", "analyst", "report"),
    Sign("loaded", "blocked_session", "warning", "root_cause", "migration.py", "pg_terminate_backend"),
    Sign("loaded", "xmin_horizon_held", "warning", "dr.eamer", ""),
    Sign("loaded", "prepared_transaction", "warning", "", "forgotten", "ROLLBACK PREPARED"),
    Sign("loaded", "replication_slot_lost", "critical", "dead_slot", "dead_slot", "dead_slot"),
    Sign("loaded", "replication_slot_inactive", "warning", "idle_slot", "idle_slot"),
    Sign("loaded", "archiver_failing", "warning", "", "0000000100000000"),
    Sign("loaded", "vacuum_overdue", "warning", "Churned Table", "Churned Table", '"Churned Table"'),
    Sign("loaded", "sequence_exhausted", "critical", "numbered", "numbered"),
    Sign("loaded", "invalid_index", "warning", "twins key", "twins", '"twins key"'),
    Sign("loaded", "restart_pending", "warning", "max_worker_processes", "max_worker_processes"),
    Sign("loaded", "subscription_broken", "warning", "deaf", "deaf"),
    Sign("loaded", "replica_missing", "critical", "nobody-there", "nobody-there"),
    Sign("loaded", "durability_off", "critical", "fsync", "fsync"),
    Sign("corrupt", "checksum_failure", "critical", re.escape(SHOP), re.escape(SHOP)),
    Sign("burnt", "wraparound_risk", "critical", "template0", "72 %", "VACUUM"),
    Sign("lonely", "synchronous_standby_missing", "critical", "", "GHOST"),
    Sign("standby", "replication_lag", "warning", "", "", ""),
    Sign("gone", "server_unreachable", "critical", "", "refused"),
)


@dataclass
class Watch:
    """The servers, the daemon, and when it had seen the servers for the first time."""

    servers: Misfortune
    daemon: Daemon
    started: float

    def said(self, target: str, check: str) -> dict[str, Any]:
        """What the daemon says of a check at this moment; empty before its first run."""
        (one,) = (one for one in self.daemon.status()["targets"] if one["target"] == target)
        return next((seen for seen in one["checks"] if seen["check"] == check), {})

    def findings(self, target: str, check: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.said(target, check).get("findings", [])
        return found

    def matches(self, sign: Sign) -> bool:
        """Whether the sign is there."""
        return any(
            finding["status"] in {"warning": ("warning", "critical"), "critical": ("critical",)}[sign.status]
            and re.search(sign.key, finding["key"])
            and re.search(sign.words, f"{finding['message']} {finding['details']}")
            and re.search(sign.fix, finding["fix"] or "")
            for finding in self.findings(sign.target, sign.check)
        )


@pytest.fixture(scope="module", params=end_majors(), ids=lambda m: f"pg{m}")
def watch(request: pytest.FixtureRequest) -> Iterator[Watch]:
    checks = sorted({sign.check for sign in SIGNS} | {"deadlock", "temp_file_spill"})
    with befallen(request.param) as servers:
        targets = [
            {"name": name, "engine": "postgres", "url": server.url("dbwatch")}
            for name in ("loaded", "corrupt", "burnt", "lonely", "standby", "gone")
            if (server := getattr(servers, name)) is not None
        ]
        targets[0]["expect"] = {"replicas": ["nobody-there"]}
        defaults = {"intervals": dict.fromkeys(checks, f"{EVERY_SECONDS:g}s"), "thresholds": YOUNG}
        with Daemon(config_text=json.dumps({"targets": targets, "defaults": defaults})) as daemon:
            yield Watch(servers, daemon, time.monotonic())


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: f"{sign.target}-{sign.check}")
def test_it_is_found_within_one_interval(watch: Watch, sign: Sign) -> None:
    if getattr(watch.servers, sign.target) is None:
        pytest.skip("this major has no pg_resetwal here")
    left = watch.started + EVERY_SECONDS + SLACK_SECONDS - time.monotonic()
    try:
        eventually(lambda: watch.matches(sign), timeout=max(1.0, left), every=0.3)
    except TimeoutError:
        found = watch.said(sign.target, sign.check)
        pytest.fail(f"{sign}: {json.dumps(found, indent=2, ensure_ascii=False)}")


def test_a_deadlock_and_a_spill_are_found_at_the_next_look(watch: Watch) -> None:
    misfortune.deadlock(watch.servers.loaded)
    misfortune.spill(watch.servers.loaded)
    for check in ("deadlock", "temp_file_spill"):
        sign = Sign("loaded", check, "warning", re.escape(SHOP), re.escape(SHOP))
        eventually(lambda sign=sign: watch.matches(sign), timeout=2 * EVERY_SECONDS, every=0.3, what=check)  # type: ignore[misc]


def test_what_is_over_is_over(watch: Watch) -> None:
    watch.servers.idler.execute("ROLLBACK")
    eventually(
        lambda: not [one for one in watch.findings("loaded", "idle_in_transaction") if "dr.eamer" in one["key"]],
        timeout=EVERY_SECONDS + SLACK_SECONDS,
        what="the transaction that has ended is not reported any more",
    )
