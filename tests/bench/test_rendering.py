"""How long a large page keeps the other lanes waiting. Writes build/bench/rendering.json."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path
from typing import Self

from dbwatch.exposition.samples import MOST_SERIES_OF_CHECK
from tests.bench.meter import quantile
from tests.bench.notes import write
from tests.unit.exposition.test_exposition_page import World
from tests.unit.exposition.world import UNUSED_INDEX, answer, check_of, index_row, target_of

TARGETS, CHECKS = 3, 10
PAUSE_SECONDS = 0.001
LONGEST_SECONDS = 0.1


class Bystander:
    """A thread that wants to go on every millisecond, as a lane whose server has answered does."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self.waits: list[float] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            time.sleep(PAUSE_SECONDS)
            self.waits.append(time.monotonic() - began - PAUSE_SECONDS)


def test_a_large_page_delays_nobody(tmp_path: Path) -> None:
    world = World(tmp_path)
    checks = [
        check_of(tmp_path, f"many_{number}", UNUSED_INDEX.replace("unused_index_", f"many_{number}_"))
        for number in range(CHECKS)
    ]
    names = [f"t{number}" for number in range(TARGETS)]
    for name in names:
        world.add(target_of(name), *checks)
    rows = [
        index_row(f"a_longish_name_of_an_index_{number}", float(number)) for number in range(MOST_SERIES_OF_CHECK // 2)
    ]
    # As the daemon does when it has started: what stays is no business of the collector of garbage.
    gc.collect()
    gc.freeze()
    with Bystander() as idle:
        time.sleep(2.0)
    rendering, joining = [], []
    with Bystander() as bystander:
        for _ in range(3):
            for name in names:
                for check in checks:
                    outcome = answer(check, *rows, target=name)
                    began = time.thread_time()
                    world.put(outcome)
                    rendering.append(time.thread_time() - began)
            began = time.thread_time()
            page = world.exposition.page(gzip=True)
            joining.append(time.thread_time() - began)
    gc.unfreeze()
    assert page
    series = sum(not line.startswith("#") for line in world.text().splitlines())
    write(
        "rendering",
        "page",
        {
            "check_series": MOST_SERIES_OF_CHECK,
            "page_series": series,
            "check_seconds": max(rendering),
            "join_seconds": max(joining),
            "longest_wait_seconds": max(bystander.waits),
            "p99_wait_seconds": quantile(bystander.waits, 0.99),
            "idle_wait_seconds": max(idle.waits),
        },
    )
    assert series > 30_000
    # Whoever holds the interpreter gives it up every 5 ms: nobody can be kept waiting for longer than all of it takes.
    assert max(rendering) < LONGEST_SECONDS
    assert max(joining) < LONGEST_SECONDS
