"""Rows 45 to 47: a configuration that is read again, good or bad, and an end that waits for nobody."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from typing import Any

import pytest
from structlog.testing import capture_logs

import dbwatch.daemon
from dbwatch.config import Config, zero_config
from dbwatch.daemon import SHUTDOWN_SECONDS
from dbwatch.engines.base import Adapter
from dbwatch.model import Engine
from tests.acceptance.shop_and_cache import World, config, shop_and_cache, target
from tests.harness import ports
from tests.harness.daemon import Daemon
from tests.harness.freeze import frozen_tree
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.series import up
from tests.harness.waiting import eventually

SLOW_CHECK = """\
summary: Answers later than anybody waits
group: tests
why: A test needs a query that runs for long.
every: 2m
timeout: 1m
sql: >-
  select count(*) as pairs from pg_catalog.generate_series(1, 20000) as a, pg_catalog.generate_series(1, 20000) as b,
  pg_catalog.generate_series(1, 20000) as c
columns:
  pairs: {use: gauge, metric: dbwatch_pg_test_pairs, help: More than anybody counts.}
levels:
  warning: pairs > 1
message: counted
runbook: {meaning: m, impact: i, diagnosis: d, mitigation: m}
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with shop_and_cache() as found:
        yield found


# -- reload ----------------------------------------------------------------------------------------

AS_PROCESS_1 = ("unshare", *(("-r",) if os.geteuid() else ()), "--pid", "--fork", "--mount-proc", "--kill-child")
RELOADED = "dbwatch_config_last_reload_successful"


def named(world: World, name: str, more: str = "") -> str:
    """A target whose sessions are known by its own name on the server."""
    return target(name, f"{world.url}?application_name={name}", more=more)


def test_row_46_a_reload_touches_only_what_changed(world: World) -> None:
    with Daemon(config_text=config(named(world, "two"), named(world, "one"), named(world, "four"))) as daemon:
        daemon.wait_ready()
        one, two, four = (world.held_by(name) for name in ("one", "two", "four"))
        runs = _runs(daemon, "one")

        daemon.write_config(config(named(world, "one"), target("two", "nonsense://")))
        daemon.signal(SIGHUP)
        daemon.wait_metric(f"{RELOADED} 0.0")
        assert (world.held_by("one"), world.held_by("two")) == (one, two)
        assert any("dbwatch.yaml" in line and "url" in line for line in daemon.log_lines()[-3:])

        changed = named(world, "two", ", labels: {team: web}")
        daemon.write_config(config(changed, named(world, "one"), named(world, "four"), named(world, "three")))
        daemon.signal(SIGHUP)
        daemon.wait_metric(f"{RELOADED} 1.0")
        daemon.wait_metric('dbwatch_target_up{engine="postgres",target="two",team="web"} 1.0')
        daemon.wait_metric(up("three", 1))
        assert [entry["target"] for entry in daemon.status()["targets"]] == ["two", "one", "four", "three"]
        assert (world.held_by("one"), world.held_by("four")) == (one, four)
        assert world.held_by("two") != two
        assert _runs(daemon, "one") >= runs, "what was counted is kept, and nothing starts anew"
        assert 'target="two"}' not in daemon.metrics(), "the series without the label are gone"

        daemon.write_config(config(named(world, "one")))
        daemon.signal(SIGHUP)
        eventually(lambda: 'target="two"' not in daemon.metrics())
        eventually(lambda: not world.backends("two") | world.backends("three"))
        assert world.held_by("one") == one
        assert [entry["target"] for entry in daemon.status()["targets"]] == ["one"]
        daemon.wait_ready()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"\xff\xfe\x00targets"),
        lambda path: path.write_text(""),
        lambda path: path.write_text("targets: []\n"),
        lambda path: path.write_text("targets: [}\n"),
        lambda path: path.write_text("targets: &a [*a]\n"),
        lambda path: path.write_text(f"{path.read_text()}nosuch: 1\n"),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.chmod(0) if os.geteuid() else path.unlink(),
    ],
    ids=["bytes", "empty", "no target", "no yaml", "alias", "unknown key", "missing", "folder", "unreadable"],
)
def test_row_45_no_file_can_end_a_daemon_that_runs(redis_daemon: Daemon, spoil: Callable[[Path], object]) -> None:
    good = redis_daemon.config_path.read_text()
    try:
        spoil(redis_daemon.config_path)
        redis_daemon.signal(SIGHUP)
        redis_daemon.wait_metric(f"{RELOADED} 0.0")
        assert redis_daemon.status()["targets"][0]["target"] == "cache"
    finally:
        if redis_daemon.config_path.is_dir():
            redis_daemon.config_path.rmdir()
        redis_daemon.write_config(good)
    redis_daemon.signal(SIGHUP)
    redis_daemon.wait_metric(f"{RELOADED} 1.0")
    assert not [line for line in redis_daemon.log_lines() if "Traceback" in line]


@pytest.fixture(scope="module")
def redis_daemon(world: World) -> Iterator[Daemon]:
    with Daemon(config_text=config(target("cache", world.redis.url(), "redis"))) as running:
        running.wait_ready()
        yield running


def test_row_45_every_problem_of_every_file_is_told_in_one_event(redis_daemon: Daemon, tmp_path: Path) -> None:
    good = redis_daemon.config_path.read_text()
    own = tmp_path / "redis"
    own.mkdir()
    (own / "redis_unreachable.yaml").write_text(SLOW_CHECK)
    (own / "half_written.yaml").write_text("summary: [\n")
    told = len(rejections(redis_daemon))
    redis_daemon.write_config(f"checks_dir: {tmp_path}\nnosuch: 1\n{good}extra: 2\n")
    redis_daemon.signal(SIGHUP)
    redis_daemon.wait_metric(f"{RELOADED} 0.0")
    (event,) = rejections(redis_daemon)[told:]
    said = "\n".join(event["problems"])
    for words in ("dbwatch.yaml:2: nosuch", "extra", "half_written.yaml:", "redis_unreachable"):
        assert words in said, said
    assert redis_daemon.status()["targets"][0]["up"] is True
    redis_daemon.write_config(good)
    redis_daemon.signal(SIGHUP)
    redis_daemon.wait_metric(f"{RELOADED} 1.0")


def rejections(daemon: Daemon) -> list[dict[str, Any]]:
    return [event for event in daemon.log_events() if event["event"] == "config rejected"]


def test_found_a_reload_that_crashes_in_the_middle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug shows only when new targets are made. The old ones go on, the gauge says so, a later reload mends it."""
    whole = zero_config([world.url, world.redis.url()], environ={})
    targets = iter([whole.targets[:1], whole.targets, whole.targets])

    def read() -> Config:
        return replace(whole, targets=next(targets))

    claim = ports.claim()
    daemon = dbwatch.daemon.Daemon(read, "127.0.0.1", claim.number, owns_process=False)
    daemon.start()
    try:
        before = dict(daemon._lanes)
        with monkeypatch.context() as broken, capture_logs() as logged:
            broken.setattr(daemon._engines, "adapter", _crash)
            assert "internal error" in daemon.reload()[0]
        assert [event["event"] for event in logged if event["log_level"] == "error"] == ["config not taken"]
        assert daemon._lanes == before
        assert daemon.store.targets().keys() == before.keys()
        assert b"dbwatch_config_last_reload_successful 0.0" in daemon.exposition.page()
        assert daemon.reload() == []
        assert len(daemon._lanes) == 2
    finally:
        daemon.stop()
        claim.release()


def _crash(_: Engine) -> Adapter:
    raise RuntimeError("a bug of ours")


def test_row_45_a_reload_over_http_must_be_enabled(world: World) -> None:
    text = config(target("cache", world.redis.url(), "redis"))
    with Daemon(config_text=text) as daemon:
        assert daemon.get("/-/reload", method="POST").status_code == 404
    with Daemon(["--web.enable-reload"], config_text=text) as daemon:
        assert daemon.get("/-/reload").status_code == 405
        assert daemon.get("/-/reload", method="POST", headers={"Origin": "http://evil.example"}).status_code == 403
        assert daemon.get("/-/reload", method="POST").status_code == 200
        daemon.write_config("targets: nonsense\n")
        refused = daemon.get("/-/reload", method="POST")
        assert refused.status_code == 500
        assert "dbwatch.yaml:1" in refused.text
        assert f"{RELOADED} 0.0" in daemon.metrics().splitlines()


def test_row_46_a_target_that_hangs_can_be_taken_out(world: World) -> None:
    """The reload does not wait for a run that waits for a silent server."""
    with Proxy(world.pg.port) as proxy:
        proxy.deaf()
        text = config(named(world, "one"), target("mute", proxy.url(world.url)))
        with Daemon(config_text=text) as daemon:
            daemon.wait_metric(up("one", 1))
            daemon.write_config(config(named(world, "one")))
            started = time.monotonic()
            daemon.signal(SIGHUP)
            eventually(lambda: 'target="mute"' not in daemon.metrics())
            assert time.monotonic() - started < SHUTDOWN_SECONDS
            assert daemon.stop() == 0


# -- the end ---------------------------------------------------------------------------------------


AT_ONCE_SECONDS = SHUTDOWN_SECONDS - 0.5
"""It did not wait until its patience was over."""


def _ends(daemon: Daemon, within: float, signal: Any = SIGTERM) -> None:
    started = time.monotonic()
    assert daemon.stop(signal) == 0
    assert time.monotonic() - started < within


@pytest.mark.parametrize("signal", [SIGTERM, SIGINT])
def test_row_47_it_ends_at_once_when_idle(world: World, signal: Any) -> None:
    with Daemon(config_text=config(named(world, "idle"), target("cache", world.redis.url(), "redis"))) as daemon:
        daemon.wait_ready()
        assert world.backends("idle")
        _ends(daemon, AT_ONCE_SECONDS, signal)
        eventually(lambda: not world.backends("idle"))


def test_row_47_it_ends_in_the_middle_of_a_query_and_leaves_none_behind(world: World, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "test_slow_answer.yaml").write_text(SLOW_CHECK)
    with Daemon(config_text=f"checks_dir: {tmp_path}\n{config(named(world, 'busy'))}") as daemon:
        slow = "query LIKE 'execute dbwatch_test_slow_answer_%'"
        counting = f"SELECT 1 FROM pg_stat_activity WHERE application_name = 'busy' AND {slow}"
        eventually(lambda: world.pg.sql(counting), timeout=20)
        _ends(daemon, AT_ONCE_SECONDS)
        eventually(lambda: not world.backends("busy"))


def test_row_47_it_ends_while_the_server_is_frozen() -> None:
    often = ", intervals: {idle_in_transaction: 1s, server_unreachable: 1s}"
    with Postgres(18) as pg, Daemon(config_text=config(target("shop", pg.create_monitor_role(), more=often))) as daemon:
        daemon.wait_ready()
        with frozen_tree(pg.postmaster_pid):
            none = 'dbwatch_check_missed_total{target="shop"} 0.0'
            eventually(lambda: none not in daemon.metrics(), what="a run hangs and others are missed")
            _ends(daemon, SHUTDOWN_SECONDS + 5)
        left = "SELECT 1 FROM pg_stat_activity WHERE usename = 'dbwatch'"
        eventually(lambda: not pg.sql(left))


@pytest.mark.parametrize("signals", [1, 2])
def test_row_47_it_ends_while_it_waits_for_a_silent_server(world: World, signals: int) -> None:
    with Proxy(world.pg.port) as proxy:
        proxy.deaf()
        with Daemon(config_text=config(target("mute", proxy.url(world.url)))) as daemon:
            eventually(lambda: proxy.open_connections)
            for _ in range(signals - 1):
                daemon.signal(SIGTERM)
            _ends(daemon, SHUTDOWN_SECONDS + 5 if signals == 1 else AT_ONCE_SECONDS)


def test_row_47_it_ends_as_process_1(world: World) -> None:
    """The kernel gives process 1 no default action: a signal that nobody handles is lost. Twin: every other test."""
    if subprocess.run([*AS_PROCESS_1, "true"], capture_output=True, timeout=30, check=False).returncode:
        pytest.skip("no process namespace here")
    text = config(named(world, "first"), target("cache", world.redis.url(), "redis"))
    with Daemon(config_text=text, prefix=AS_PROCESS_1) as daemon:
        daemon.wait_ready()
        assert world.backends("first")
        inner = int(Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()[0])
        assert Path(f"/proc/{inner}/status").read_text().split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
        os.kill(inner, SIGTERM)
        assert daemon.process.wait(SHUTDOWN_SECONDS + 10) == 0
        eventually(lambda: not world.backends("first"))


def test_row_47_it_ends_while_it_starts(world: World) -> None:
    """From the first answer on, no signal is lost and none is deadly."""
    daemon = Daemon(config_text=world.text)
    try:
        daemon.start()
        daemon.signal(SIGHUP)
        daemon.signal(SIGHUP)
        daemon.wait_metric(f"{RELOADED} 1.0")
        _ends(daemon, AT_ONCE_SECONDS)
        assert not [line for line in daemon.log_lines() if "Traceback" in line]
    finally:
        daemon.close()


def _runs(daemon: Daemon, name: str) -> float:
    lines = (line for line in daemon.metrics().splitlines() if line.startswith("dbwatch_check_runs_total{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'target="{name}"' in line)
