"""Row 48: output that is full, closed or read by nobody costs log lines, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import structlog

from dbwatch import logs
from tests.harness import ports
from tests.harness.binaries import RedisKind
from tests.harness.daemon import NOT_INHERITED
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually
from tests.own_logging import own_logging

log: structlog.stdlib.BoundLogger = structlog.get_logger("dbwatch.test")


@pytest.fixture(name="own_logging")
def _own_logging() -> Iterator[None]:
    with own_logging():
        yield


@pytest.mark.usefixtures("own_logging")
def test_row_48_a_pipe_nobody_reads_costs_events_and_no_time() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        logs.configure("info", "json", stream)
        started = time.monotonic()
        for number in range(logs.QUEUE_LINES + 3_000):
            log.info("event", number=number, text="x" * 100)
        assert logs.dropped() > 0
        assert time.monotonic() - started < 30
        started = time.monotonic()
        logs.close(timeout_seconds=0.2)
        assert time.monotonic() - started < 5
        os.close(reading)


@pytest.mark.usefixtures("own_logging")
def test_row_48_a_closed_pipe_and_a_full_disk_are_counted() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        logs.configure("info", "json", stream)
        log.info("event")
        eventually(lambda: logs.dropped() == 1, every=0.01)
        logs.close()
    with Path("/dev/full").open("w") as stream:
        logs.configure("info", "json", stream)
        log.info("event")
        eventually(lambda: logs.dropped() == 1, every=0.01)
        logs.close()


# -- the daemon ------------------------------------------------------------------------------------


def full(_: ExitStack) -> int:
    return os.open("/dev/full", os.O_WRONLY)


def closed(_: ExitStack) -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def unread(held: ExitStack) -> int:
    """A pipe in which there is no room for a byte more."""
    reading, writing = os.pipe()
    held.callback(os.close, reading)
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    return writing


def value(page: str, name: str) -> float:
    lines = (line for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.mark.parametrize("output", [full, closed, unread], ids=lambda output: output.__name__)
def test_row_48_checks_and_scrapes_go_on(
    output: Callable[[ExitStack], int], shared_redis: Callable[[RedisKind], RedisServer], tmp_path: Path
) -> None:
    config = tmp_path / "dbwatch.yaml"
    config.write_text(
        "defaults: {profile: minimal, intervals: {redis_unreachable: 500ms}}\n"
        f"targets:\n  - {{name: cache, engine: redis, url: '{shared_redis('redis-7.0').url()}'}}\n"
    )
    claim = ports.claim()
    environment = {name: text for name, text in os.environ.items() if not name.startswith(NOT_INHERITED)}
    with ExitStack() as held:
        held.callback(claim.release)
        stream = output(held)
        command = [sys.executable, "-m", "dbwatch", "serve", "--config", str(config)]
        daemon = subprocess.Popen(
            [*command, "--web.listen-address", f"127.0.0.1:{claim.number}"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=environment,
        )
        os.close(stream)
        held.callback(daemon.wait, 30)
        held.callback(daemon.kill)

        def page() -> str:
            return httpx.get(f"http://127.0.0.1:{claim.number}/metrics", trust_env=False, timeout=30).text

        eventually(lambda: value(page(), "dbwatch_target_up") == 1.0, ignoring=httpx.TransportError, what="it watches")
        before = value(page(), "dbwatch_check_runs_total")
        daemon.send_signal(signal.SIGHUP)  # a line more to say
        eventually(lambda: value(page(), "dbwatch_check_runs_total") >= before + 3, what="checks go on")
        if output is not unread:  # those wait in the queue, which is long: the test above fills it
            eventually(lambda: value(page(), "dbwatch_log_dropped_total") >= 2, what="lost lines are counted")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
