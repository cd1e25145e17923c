"""Owns `dbwatch check`: every target once, side by side, counters read twice. Knows no schedule and no format."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from dbwatch.catalogue import Catalogue, Check
from dbwatch.config import Config, Target
from dbwatch.engines import Engines
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.errors import ConfigError
from dbwatch.lanes import Lane
from dbwatch.model import Reason
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store, TargetView

_MOST_THREADS = 16
_NOTICE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the configuration to run. Globs for checks, exact names for groups, globs for databases."""

    checks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()

    def of(self, catalogue: Catalogue, target: Target) -> tuple[Check, ...]:
        """The checks to run on a target. A check named exactly runs even when it is off by default."""
        named = catalogue.matching(self.checks, source="--check") if self.checks else None
        excluded = catalogue.matching(self.exclude, source="--exclude") if self.exclude else frozenset()
        groups = {check.group for check in catalogue}
        for group in self.groups:
            if group not in groups:
                raise ConfigError.of(
                    "--group", f"no group is named {group!r}", hint=f"one of {', '.join(sorted(groups))}"
                )
        exact = tuple(name for name in self.checks if named is not None and name in named)
        return tuple(
            check
            for check in selected(catalogue, replace(target, enable=(*target.enable, *exact)))
            if (named is None or check.name in named)
            and (not self.groups or check.group in self.groups)
            and check.name not in excluded
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What one pass over all targets found."""

    views: tuple[TargetView, ...]
    started_at_seconds: float
    duration_seconds: float


@dataclass(slots=True)
class Progress:
    """Runs done of runs to do; written by lanes, read by whoever shows it."""

    total: int = 0
    done: int = 0


def run_once(
    config: Config,
    selection: Selection,
    *,
    sample_seconds: float = 1.0,
    on_wait: Callable[[Progress], None] = lambda _: None,
) -> Result:
    """Run the selected checks of all targets. `on_wait` is called a few times a second while it takes.

    `sample_seconds` is the least time between the two readings of a counter; 0 reads once and judges lifetime values.
    Raises ConfigError for a selection that names nothing.
    """
    started, wall = time.monotonic(), time.time()
    store, watchdog, progress = Store(), Watchdog(), Progress()
    leaving = threading.Event()
    engines = Engines()
    lanes = []
    for target in config.targets:
        checks = selection.of(config.catalogue, target)
        narrowed = replace(target, include_databases=selection.databases) if selection.databases else target
        lanes.append(Lane(narrowed, engines.adapter(target.engine), checks, store, watchdog))
        progress.total += len(checks)
    with ThreadPoolExecutor(max(1, min(len(lanes), _MOST_THREADS)), "dbwatch-lane") as pool:
        try:
            pending = {pool.submit(_run_lane, lane, sample_seconds, progress, leaving) for lane in lanes}
            while pending:
                done, pending = wait(pending, timeout=_NOTICE_SECONDS)
                for future in done:
                    future.result()
                on_wait(progress)
        except BaseException:
            leaving.set()
            for lane in lanes:  # side by side: each may take a second to tell its server
                threading.Thread(target=lane.shut, name="dbwatch-shut", daemon=True).start()
            raise
        finally:
            watchdog.close()
    return Result(store.views(), wall, time.monotonic() - started)


def _run_lane(lane: Lane, sample_seconds: float, progress: Progress, leaving: threading.Event) -> None:
    """Baselines first, so that the other checks fill the time until their second reading; `leaving` cuts it short."""
    checks = list(lane.checks.values())
    sampled = [check for check in checks if check.sampled and check.probe != CONNECT_PROBE]
    others = [check for check in checks if check not in sampled]
    lifetime = sample_seconds == 0
    try:
        waiting = _run_all(lane, sampled, progress, lifetime=lifetime)
        read_at = time.monotonic()
        _run_all(lane, others, progress)
        if waiting and not lifetime:
            progress.total += len(waiting)
            if not leaving.wait(max(0.0, read_at + sample_seconds - time.monotonic())):
                _run_all(lane, waiting, progress)
    finally:
        lane.close()


def _run_all(lane: Lane, checks: Sequence[Check], progress: Progress, *, lifetime: bool = False) -> list[Check]:
    """Run the checks; returns those that wait for a second reading."""
    again: list[Check] = []
    for check in checks:
        outcome = lane.run(check.name, lifetime=lifetime)
        progress.done += 1
        if check.sampled and (outcome.answered or outcome.reason is Reason.NO_BASELINE):
            again.append(check)
    return again
