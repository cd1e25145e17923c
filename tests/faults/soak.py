"""`python -m tests.faults.soak PG FLAPPING REDIS RUNS`: what the daemon's lanes do, without pauses in between.

Prints memory, descriptors and threads as JSON once a twentieth of the runs is over. The lanes, checks, store and page
are the daemon's; the backoff goes by a clock that is fast, so that the flapping target is lost and found all the time.
"""

from __future__ import annotations

import gc
import itertools
import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from dbwatch.backoff import Backoff
from dbwatch.config import zero_config
from dbwatch.engines import Engines
from dbwatch.exposition import Exposition
from dbwatch.lanes import Lane
from dbwatch.logs import configure
from dbwatch.model import Engine
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store

CHECKS = {
    "postgres": ("server_unreachable", "idle_in_transaction", "connections_saturated", "blocked_session"),
    "redis": ("redis_unreachable", "redis_memory_pressure", "redis_hit_ratio"),
}
PARTS = 20
_FAST = 200.0


class _Still:
    tick_timestamp_seconds = 0.0


def main(urls: list[str], runs: int) -> None:
    """Print a line for each part of the runs."""
    configure("info", "json")
    config = zero_config(urls, environ={})
    store, watchdog, engines = Store(), Watchdog(), Engines()
    page = Exposition(store, _Still())
    store.subscribe(page.update)
    turns: list[tuple[Lane, str]] = []
    for number, target in enumerate(config.targets):
        named = replace(target, name=f"target{number}", connect_timeout=1.0, enable=(), disable=())
        # Where nothing happens a connection each time is not worth its milliseconds.
        wanted = set(CHECKS[str(target.engine)]) - ({"server_unreachable"} if number == 0 else set())
        checks = [check for check in selected(config.catalogue, named) if check.name in wanted]
        lane = Lane(named, engines.adapter(named.engine), checks, store, watchdog)
        lane._backoff, lane._probe_backoff = (Backoff(lambda: time.monotonic() * _FAST) for _ in range(2))
        turns += [(lane, check.name) for check in checks] * (4 if target.engine is Engine.REDIS else 1)
    outcomes: dict[str, int] = {}
    for number, (lane, name) in enumerate(itertools.islice(itertools.cycle(turns), runs), start=1):
        outcome = lane.run(name)
        key = f"{lane.target.name}:{outcome.reason or 'answered'}"
        outcomes[key] = outcomes.get(key, 0) + 1
        if number % 50 == 0:
            page.page()
        if number % (runs // PARTS) == 0:
            print(json.dumps({"runs": number, "outcomes": outcomes, **_state()}), flush=True)


def _state() -> dict[str, int]:
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (memory,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return {"memory_kib": memory, "descriptors": descriptors, "threads": threading.active_count()}


if __name__ == "__main__":
    main(sys.argv[1:-1], int(sys.argv[-1]))
