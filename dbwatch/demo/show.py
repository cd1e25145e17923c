"""Owns the demo's course: start, plant, report, serve until Ctrl-C, clear away."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence

from dbwatch.adhoc import Result, Selection, run_once
from dbwatch.config import Config, load_config
from dbwatch.daemon import Daemon
from dbwatch.demo.faults import CONFIG, PLANTED, POSTGRES_SETTINGS, REDIS_SETTINGS, Faults
from dbwatch.demo.servers import Servers
from dbwatch.logs import configure
from dbwatch.model import Status
from dbwatch.report import render
from dbwatch.report.format import Format
from dbwatch.store import TargetView

_FAULTS_SECONDS = 30.0
_SAMPLE_SECONDS = 2.0


def run_demo(once: bool, listen: str) -> int:
    """Returns 0 when every planted fault was found, 1 otherwise."""
    from dbwatch.cli.serve import listen_address

    configure("error", "console")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    host, port = listen_address(listen)
    _say("starting an embedded PostgreSQL and Redis …")
    with Servers() as servers:
        postgres = servers.start_postgres(POSTGRES_SETTINGS)
        redis = servers.start_redis(REDIS_SETTINGS)
        _say("planting faults …")
        with Faults(postgres, redis):
            path = servers.directory / "dbwatch.yaml"
            path.write_text(CONFIG.format(host=postgres, socket=redis))
            config = load_config(path)
            result = _watch(config)
            sys.stdout.write(
                render(
                    Format.TEXT,
                    result.views,
                    started_at_seconds=result.started_at_seconds,
                    duration_seconds=result.duration_seconds,
                )
            )
            sys.stdout.flush()
            missing = not_found(result.views)
            for name in missing:
                _say(f"planted, but not found: {name}")
            if once:
                return 1 if missing else 0
            # Whoever presses Ctrl-C twice still wants the servers gone.
            daemon = Daemon(lambda: load_config(path), host, port, owns_process=False)
            _say(f"page     http://{host}:{port}/")
            _say(f"metrics  http://{host}:{port}/metrics")
            _say(f"shell    psql -h {postgres} -U postgres shop")
            _say("Ctrl-C ends the demo and removes everything it made")
            return daemon.run()


def not_found(views: Sequence[TargetView]) -> list[str]:
    """The planted faults without a finding."""
    found = {
        (view.target.name, check.check.name)
        for view in views
        for check in view.checks
        if check.outcome is not None and check.outcome.status in (Status.WARNING, Status.CRITICAL)
    }
    return [f"{target}: {name}" for target, names in PLANTED.items() for name in names if (target, name) not in found]


def _watch(config: Config) -> Result:
    """Check until every fault has had the time to show: a second in a transaction, a second call of a statement."""
    limit = time.monotonic() + _FAULTS_SECONDS
    while True:
        result = run_once(config, Selection(), sample_seconds=_SAMPLE_SECONDS)
        if not not_found(result.views) or time.monotonic() > limit:
            return result


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the demo talks to the person who started it
