"""One lane at a real server, in this process: the checks it runs, the page and the log that come of them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dbwatch import logs
from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target, zero_config
from dbwatch.engines import Engines
from dbwatch.engines.base import Adapter
from dbwatch.exposition import Exposition
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Outcome
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store, TargetState
from tests.own_logging import own_logging

ASKED = "select 'mail'::text as queue, 1 as length"
CHECK = """\
summary: What a test wants to know
group: tests
why: A test wants to know it.
every: 1h
timeout: {timeout}
{requires}
sql: {sql}
columns:
  queue: {{use: label}}
  length: {{use: {use}, metric: dbwatch_pg_test_{name}_length{suffix}, help: What it said.}}
limit: 1000
levels: {{warning: {level}}}
key: [queue]
message: "{{queue}} {{length}}"
runbook: {{meaning: m, impact: i, diagnosis: d, mitigation: m}}
"""


def own_check(
    folder: Path, name: str, sql: str = ASKED, *, timeout: str = "10s", counter: bool = False, requires: str = ""
) -> Check:
    """A check with one label `queue` and one number `length`, which `sql` gives, be it what no file may hold.

    A gauge; or a counter, which is a warning when it grows.
    """
    path = folder / "postgres" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    use, suffix, level = ("counter", "_total", "delta(length) > 0") if counter else ("gauge", "", "length > 1000000")
    text = CHECK.format(name=name, sql=ASKED, timeout=timeout, requires=requires, use=use, suffix=suffix, level=level)
    path.write_text(text)
    return replace(load_check(path, Engine.POSTGRES), sql={(0,): sql})


def bundled(url: str) -> tuple[Check, ...]:
    """All that run by default."""
    config = zero_config([url], environ={})
    return selected(config.catalogue, config.targets[0])


def target_of(url: str) -> Target:
    return zero_config([url], environ={}).targets[0]


@dataclass(frozen=True, slots=True)
class Bench:
    """`look("name")` runs a check as the daemon's scheduler does."""

    lane: Lane
    store: Store
    exposition: Exposition
    log: io.StringIO

    def look(self, name: str) -> Outcome:
        return self.lane.run(name)

    def look_at_all(self) -> dict[str, Outcome]:
        return {name: self.lane.run(name) for name in self.lane.checks}

    @property
    def state(self) -> TargetState:
        return self.store.state(self.lane.target.name)

    def page(self) -> str:
        return self.exposition.page().decode()

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """What was logged so far."""
        _listen(self.log)  # what is queued is written first
        events = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [event for event in events if name is None or event["event"] == name]


@contextmanager
def bench(target: Target, checks: Sequence[Check], *, adapter: Adapter | None = None) -> Iterator[Bench]:
    """A lane with its own store, page, watchdog and log."""
    log = io.StringIO()
    with own_logging():
        _listen(log)
        watchdog, store = Watchdog(), Store()
        exposition = Exposition(store, SimpleNamespace(tick_timestamp_seconds=0.0))
        store.subscribe(exposition.update)
        lane = Lane(target, adapter or Engines().adapter(target.engine), checks, store, watchdog)
        try:
            yield Bench(lane, store, exposition, log)
        finally:
            lane.shut()
            watchdog.close()


def _listen(log: io.StringIO) -> None:
    logs.close()
    logs.configure("info", "json", log)
