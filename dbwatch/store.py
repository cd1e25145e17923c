"""Owns the latest outcome of every (target, check) in memory. Knows no database and no page.

Outcomes swap in whole. Readers get immutable views; nothing here waits for anything but one short lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.model import Facts, Outcome, Reason, Status, worst


@dataclass(frozen=True, slots=True)
class TargetState:
    """What is known of a target as a whole. `up` is None until the first attempt."""

    up: bool | None = None
    reason: Reason | None = None
    message: str = ""
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check of a target with its latest outcome; None until its first run.

    `stretch` is how many times its own interval it waits now, so that the target's budget holds; `runs` counts how its
    runs ended.
    """

    check: Check
    outcome: Outcome | None = None
    last_success_seconds: float | None = None
    changed_at_seconds: float | None = None
    stretch: float = 1.0
    runs: Mapping[Status, int] = field(default_factory=dict)

    @property
    def age_seconds(self) -> float | None:
        """Seconds since the outcome was made, by the monotonic clock."""
        return time.monotonic() - self.outcome.finished if self.outcome is not None else None


@dataclass(frozen=True, slots=True)
class TargetView:
    """One target, its state and all its checks."""

    target: Target
    state: TargetState
    checks: tuple[CheckView, ...]

    @property
    def status(self) -> Status:
        """The worst of the checks; `unknown` while the server cannot be reached or nothing has been asked at all."""
        statuses = [view.outcome.status for view in self.checks if view.outcome is not None]
        if not statuses or (self.state.up is False and self.state.facts is None):
            return Status.UNKNOWN
        return worst(statuses)


Listener: TypeAlias = Callable[[Target, Check, Outcome], None]


class Store:
    """Thread-safe; bounded by the configured targets and checks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._targets: dict[str, Target] = {}
        self._states: dict[str, TargetState] = {}
        self._views: dict[str, dict[str, CheckView]] = {}
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` in the lane's thread after every outcome. Subscribe before the first run."""
        self._listeners.append(listener)

    def register(self, target: Target, checks: Sequence[Check]) -> None:
        """Make a target and its checks known; keeps the outcomes of checks that are known already."""
        with self._lock:
            old = self._views.get(target.name, {})
            self._targets[target.name] = target
            self._states.setdefault(target.name, TargetState())
            self._views[target.name] = {
                check.name: replace(old[check.name], check=check) if check.name in old else CheckView(check)
                for check in checks
            }

    def forget(self, target: str) -> None:
        with self._lock:
            for kept in (self._targets, self._states, self._views):
                kept.pop(target, None)

    def arrange(self, names: Sequence[str]) -> None:
        """Bring the targets into the order of the configuration, which a reload may have changed."""
        with self._lock:
            self._targets = {name: self._targets[name] for name in names if name in self._targets}

    def put(self, outcome: Outcome) -> None:
        """Swap in an outcome. Outcomes of targets or checks no longer registered are dropped."""
        with self._lock:
            views = self._views.get(outcome.target)
            if views is None or outcome.check not in views:
                return
            old = views[outcome.check]
            success = outcome.finished_at_seconds if outcome.answered else old.last_success_seconds
            same = old.outcome is not None and old.outcome.status is outcome.status
            changed = old.changed_at_seconds if same else outcome.finished_at_seconds
            runs = {**old.runs, outcome.status: old.runs.get(outcome.status, 0) + 1}
            views[outcome.check] = CheckView(old.check, outcome, success, changed, old.stretch, runs)
            target, check = self._targets[outcome.target], old.check
        for listener in self._listeners:
            listener(target, check, outcome)

    def pace(self, target: str, stretches: Mapping[str, float]) -> None:
        """The checks that wait longer than their interval, and how many times; the others of the target do not."""
        with self._lock:
            views = self._views.get(target, {})
            for name, view in views.items():
                views[name] = replace(view, stretch=stretches.get(name, 1.0))

    def stretch(self, target: str, check: str) -> float:
        """1 for a check that has its own interval, or is not known."""
        with self._lock:
            view = self._views.get(target, {}).get(check)
            return view.stretch if view is not None else 1.0

    def set_state(self, target: str, state: TargetState) -> None:
        with self._lock:
            if target in self._targets:
                self._states[target] = state

    def state(self, target: str) -> TargetState:
        with self._lock:
            return self._states.get(target, TargetState())

    def views(self) -> tuple[TargetView, ...]:
        """Everything, in the order of the configuration."""
        with self._lock:
            return tuple(
                TargetView(target, self._states[name], tuple(self._views[name].values()))
                for name, target in self._targets.items()
            )

    def view(self, target: str) -> TargetView | None:
        with self._lock:
            found = self._targets.get(target)
            if found is None:
                return None
            return TargetView(found, self._states[target], tuple(self._views[target].values()))

    def targets(self) -> Mapping[str, Target]:
        with self._lock:
            return dict(self._targets)
