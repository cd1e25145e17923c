"""Owns the compatibility pages: families rendered when a collector has run, joined when a page is asked for.

`update` runs in the lanes' threads and never raises; `page` runs in the web server's and reaches no database. What it
does is to remember that it was asked: the collectors ask `wanted` when their time has come.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from dbwatch.catalogue import Check
from dbwatch.catalogue.families import Collector, Exporter
from dbwatch.config import Target
from dbwatch.exposition.block import Block, Format, Part, pieces
from dbwatch.exposition.compat.demand import Demand
from dbwatch.exposition.compat.own import Lately, own_parts
from dbwatch.exposition.compat.rendering import (
    MOST_SERIES_OF_COLLECTOR,
    MOST_SERIES_OF_TARGET,
    Rendered,
    render_collected,
    told_apart,
)
from dbwatch.exposition.joined import Joined
from dbwatch.model import Outcome, Status
from dbwatch.store import Store, TargetView

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


IDLE_SECONDS: Final = 300.0
"""How often a page that nobody asks for is read all the same: who asks then finds one, no older than that."""
RESUMING_SECONDS: Final = 60.0
"""After it every collector of a page that is asked for again has had its turn."""


class NoSuchPageError(LookupError):
    """No page of that name; the message names those there are."""


class NotCollectedError(LookupError):
    """Nothing is on the page yet: the first of its collectors are at work."""


@dataclass(frozen=True, slots=True)
class _Collected:
    """The last run of a collector on a target.

    The families are left out from `expires` on, which was told by `stretch` times its own interval.
    """

    lately: Lately
    rendered: Rendered
    expires: float
    database_seconds: float
    interval_seconds: float
    stretch: float

    def shown_until(self, began: float, now: float) -> float:
        """What was read while nobody asked is shown at the pace of that time, until it has had its turn."""
        if self.lately.outcome.finished >= began or now >= began + RESUMING_SECONDS:
            return self.expires
        longer = 2 * max(0.0, IDLE_SECONDS - self.stretch * self.interval_seconds)
        return min(self.expires + longer, began + RESUMING_SECONDS)

    def is_due(self, now: float) -> bool:
        """Whether it is time to read it though nobody asked."""
        pause = max(IDLE_SECONDS, self.interval_seconds) - self.interval_seconds / 2
        return now - self.lately.outcome.finished >= pause


class CompatPages:
    """Give `update` to the lanes; `page` gives what a scrape gets."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._demand = Demand(clock)
        self._lock = threading.Lock()
        self._collected: dict[str, dict[str, _Collected]] = {}
        self._stretches: dict[str, Mapping[str, float]] = {}
        self._version = 0
        self._joining = threading.Lock()
        self._joined: dict[tuple[Exporter, str | None], Joined] = {}

    def update(self, target: Target, check: Check, outcome: Outcome) -> None:
        """Render what a collector has read. Called in the lane's thread."""
        try:
            assert check.collector is not None
            self._put(target, check, check.collector, outcome)
        except Exception:
            # A page without one collector is better than a lane that ends.
            log.exception("collector not rendered", target=target.name, collector=check.name)

    def paced(self, target: str, stretches: Mapping[str, float]) -> None:
        """How many times their own interval collectors wait from now on. What they read is true for as much longer."""
        now = self._clock()
        with self._lock:
            self._stretches[target] = stretches
            runs = self._collected.get(target, {})
            for name, run in runs.items():
                stretch = stretches.get(name, 1.0)
                if stretch > run.stretch and now < run.expires:
                    longer = 2 * run.interval_seconds * (stretch - run.stretch)
                    runs[name] = replace(run, expires=run.expires + longer, stretch=stretch)
            self._version += 1

    def wanted(self, target: str, name: str) -> bool:
        """Whether to read a collector now: always while its page is asked for, and seldom while it is not."""
        with self._lock:
            run = self._collected.get(target, {}).get(name)
        return run is None or self._demand.began(target) is not None or run.is_due(self._clock())

    def forget(self, target: str) -> None:
        """Drop all that was read of a target."""
        self._demand.forget(target)
        with self._lock:
            self._collected.pop(target, None)
            self._stretches.pop(target, None)
            self._version += 1

    def query_seconds(self) -> Mapping[str, float]:
        """What each target's collectors have cost its server so far."""
        with self._lock:
            return {
                target: math.fsum(collected.database_seconds for collected in of_target.values())
                for target, of_target in self._collected.items()
            }

    def targets(self, exporter: str) -> tuple[Target, ...]:
        """The targets that have a page of that exporter. Raises NoSuchPageError."""
        return tuple(view.target for view in self._views(_exporter(exporter)))

    def page(self, exporter: str, target: str | None = None, *, gzip: bool = False) -> bytes:
        """The page of one target, or of all its exporter knows. Raises NoSuchPageError, NotCollectedError."""
        kind = _exporter(exporter)
        with self._lock:
            version, collected = self._version, {name: dict(runs) for name, runs in self._collected.items()}
        views = self._views(kind)
        chosen = [view for view in views if target is None or view.target.name == target]
        if not chosen:
            raise NoSuchPageError(_no_target(kind, target, views))
        self._demand.ask(view.target.name for view in chosen)
        # A target that has just been added does not take the page of all others away.
        known = [view for view in chosen if not self._is_unread(view.target.name, collected)]
        if not known:
            raise NotCollectedError("nothing was read for this page yet; it is being made now")
        with self._joining:
            joined = self._current((kind, target), version, known, collected, several=len(chosen) > 1)
            return joined.gzip_followed_by(b"") if gzip else joined.followed_by(b"")

    def _is_unread(self, target: str, collected: Mapping[str, Mapping[str, _Collected]]) -> bool:
        """Whether the first run of its collectors is still to come, which takes a minute at most."""
        began = self._demand.began(target)
        return not collected.get(target) and began is not None and self._clock() - began <= RESUMING_SECONDS

    def _put(self, target: Target, check: Check, collector: Collector, outcome: Outcome) -> None:
        with self._lock:
            others = dict(self._collected.get(target.name, {}))
            stretch = self._stretches.get(target.name, {}).get(check.name, 1.0)
        interval = target.intervals.get(check.name, check.every)
        old = others.pop(check.name, None)
        runs, dropped, spent = (
            (old.lately.runs, old.lately.dropped, old.database_seconds) if old is not None else (0, 0, 0.0)
        )
        rendered, expires = (old.rendered, old.expires) if old is not None else (Rendered(), math.inf)
        if outcome.status is Status.SKIPPED:
            rendered, expires = Rendered(), math.inf
        elif outcome.answered or outcome.rows:
            now = self._clock()
            taken = sum(other.rendered.series for other in others.values() if now < other.expires)
            room = max(0, min(MOST_SERIES_OF_COLLECTOR, MOST_SERIES_OF_TARGET - taken))
            rendered = render_collected(target, collector, outcome, room)
            dropped += rendered.dropped
            expires = outcome.finished + 2 * stretch * interval + check.timeout
        # The rows are rendered, and take more memory than their bytes.
        lately = Lately(collector.name, replace(outcome, rows=(), findings=()), runs + 1, dropped)
        made = _Collected(lately, rendered, expires, spent + outcome.database_seconds, interval, stretch)
        with self._lock:
            self._collected.setdefault(target.name, {})[check.name] = made
            self._version += 1

    def _views(self, exporter: Exporter) -> tuple[TargetView, ...]:
        return tuple(
            view for view in self._store.views() if view.target.engine is exporter.engine and view.target.compat
        )

    def _current(
        self,
        place: tuple[Exporter, str | None],
        version: int,
        views: Sequence[TargetView],
        collected: Mapping[str, Mapping[str, _Collected]],
        *,
        several: bool,
    ) -> Joined:
        """The joined page, joined anew when anything changed or grew too old since."""
        exporter, _ = place
        now = self._clock()
        made_of = (version, *((view.target, view.state) for view in views))
        old = self._joined.get(place)
        if old is not None and now < old.valid_until and old.made_of == made_of:
            return old
        parts: list[Part] = []
        valid_until = math.inf
        for view in views:
            runs = [run for _, run in sorted(collected.get(view.target.name, {}).items())]
            began = self._demand.began(view.target.name) or now
            ends = [run.shown_until(began, now) for run in runs]
            shown = [run for run, end in zip(runs, ends, strict=True) if now < end]
            valid_until = min([valid_until, *(end for end in ends if now < end)])
            own = tuple(_parts(exporter, view, runs, shown))
            parts.extend(told_apart(own, view.target.name) if several else own)
        block = Block(tuple(sorted(parts, key=lambda part: part.name)))
        joined = self._joined[place] = Joined(made_of, valid_until, pieces([block], Format.TEXT), old)
        return joined


def _parts(
    exporter: Exporter, view: TargetView, runs: Sequence[_Collected], shown: Sequence[_Collected]
) -> Iterator[Part]:
    yield from own_parts(exporter, view.state, [run.lately for run in runs])
    if view.state.up is not False or view.state.facts is not None:
        for run in shown:
            yield from run.rendered.parts


def _exporter(name: str) -> Exporter:
    try:
        return Exporter(name)
    except ValueError:
        raise NoSuchPageError(f"no exporter is named {name!r}; there are {', '.join(Exporter)}") from None


def _no_target(exporter: Exporter, target: str | None, views: Sequence[TargetView]) -> str:
    if not views:
        return f"no {exporter.engine.product} target has a page of {exporter}"
    return f"no target of {exporter} is named {target!r}; there are {', '.join(view.target.name for view in views)}"
