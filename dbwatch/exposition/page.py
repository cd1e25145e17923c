"""Owns the `/metrics` page: blocks rendered when a check finishes, joined and compressed once, sent many times.

`update` runs in the lanes' threads, `page` in the web server's. A scrape waits for no check, no check for a scrape,
nothing here reaches a database, and `update` never raises.
"""

from __future__ import annotations

import datetime
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.exposition.about import about_target, cost_of, interval_of, limits_of, runs_of, verdict_of
from dbwatch.exposition.block import END, NOTHING, Block, Format, join, pieces
from dbwatch.exposition.joined import Joined
from dbwatch.exposition.ledger import Entries, Entry, Ledger
from dbwatch.exposition.process import ProcessMetrics, SchedulerState
from dbwatch.exposition.samples import MOST_SERIES_OF_CHECK, MOST_SERIES_OF_TARGET, Samples, samples_of
from dbwatch.exposition.tally import Cost, Tally
from dbwatch.model import Outcome, Status
from dbwatch.store import CheckView, Store, TargetView

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Exposition:
    """Subscribe `update` to the store; `page` gives what a scrape gets."""

    def __init__(
        self,
        store: Store,
        scheduler_state: SchedulerState,
        clock: Callable[[], float] = time.monotonic,
        *,
        also_spent: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """`also_spent` is what other questions than the checks' have cost each target's server."""
        self._also_spent = also_spent
        self._store = store
        self._clock = clock
        self._process = ProcessMetrics(scheduler_state)
        self._ledger = Ledger()
        self._joining = threading.Lock()
        self._joined: dict[Format, Joined] = {}
        self._reload_successful = True

    def update(self, target: Target, check: Check, outcome: Outcome) -> None:
        """Render one check's outcome. A store listener; called in the lane's thread."""
        try:
            samples = self._samples(target, check, outcome)
            stretch = self._store.stretch(target.name, check.name)
            interval = interval_of(target, check) * stretch

            def change(old: Entry, tally: Tally) -> Entry:
                tally.count(outcome, samples.dropped if samples is not None else 0)
                now = replace(
                    _limited(old, target, check, stretch),
                    runs=runs_of(target, check, tally),
                    verdict=old.verdict if _says_the_same(old.outcome, outcome) else verdict_of(target, outcome),
                    outcome=outcome,
                )
                if samples is None:
                    # No answer is not an answer: what was true at the last one stays until it is too old.
                    return now
                return replace(
                    now,
                    samples=samples.block,
                    expires=outcome.finished + 2 * interval + check.timeout,
                    interval_seconds=interval,
                    is_probe=check.probe == CONNECT_PROBE,
                )

            self._ledger.write(target.name, check.name, change)
        except Exception:
            # A page without one check is better than a lane that ends.
            log.exception("check not rendered", target=target.name, check=check.name)
            self._ledger.drop(target.name, (check.name,))

    def missed(self, target: str, check: str) -> None:
        """Count a run that was left out. Names that are not registered are ignored."""
        view = self._store.view(target)
        if view is None or check not in _names(view):
            return
        owner, known = view.target, next(known.check for known in view.checks if known.check.name == check)

        def change(old: Entry, tally: Tally) -> Entry:
            tally.cost.missed += 1
            return _limited(old, owner, known, self._store.stretch(target, check))

        self._ledger.write(target, check, change)

    def paced(self, target: str) -> None:
        """Tell the intervals that the store has now. What is shown of a check that waits longer is true for longer."""
        view = self._store.view(target)
        if view is None:
            return
        written, now = self._ledger.of(target), self._clock()
        for known in view.checks:
            if known.check.name in written:
                self._ledger.write(target, known.check.name, _at_pace(view.target, known, now))

    def reload_succeeded(self, successful: bool) -> None:
        self._reload_successful = successful

    def forget(self, target: str) -> None:
        """Drop all series of a target and all that was counted."""
        self._ledger.drop(target)

    def page(self, openmetrics: bool = False, *, gzip: bool = False) -> bytes:
        """The whole page, from memory."""
        form = Format.OPENMETRICS if openmetrics else Format.TEXT
        process = self._process.render(reload_successful=self._reload_successful)
        tail = join([process], form) + END[form]
        with self._joining:
            joined = self._current(form)
            return joined.gzip_followed_by(tail) if gzip else joined.followed_by(tail)

    def _samples(self, target: Target, check: Check, outcome: Outcome) -> Samples | None:
        """The rendered rows; none when the check was skipped, None when it could not look."""
        if outcome.status is Status.SKIPPED:
            return Samples()
        if not outcome.answered and not outcome.rows:
            return None
        now = self._clock()
        others = self._ledger.of(target.name).items()
        taken = sum([entry.samples.series for name, entry in others if now < entry.expires and name != check.name])
        return samples_of(target, check, outcome, max(0, min(MOST_SERIES_OF_CHECK, MOST_SERIES_OF_TARGET - taken)))

    def _current(self, form: Format) -> Joined:
        """The joined page, joined anew when anything changed or grew too old since."""
        # Entries first, views second: an entry whose check is in no later view belongs to nobody any more.
        version, entries = self._ledger.snapshot()
        views = self._store.views()
        now = self._clock()
        made_of = (version, *((view.target, view.state, _names(view)) for view in views))
        old = self._joined.get(form)
        if old is not None and now < old.valid_until and old.made_of == made_of:
            return old
        self._drop_strangers(entries, views)
        shown = [entry for view in views for entry in _true_now(view, entries) if now < entry.expires]
        costs, more = self._ledger.costs(), self._also_spent()
        blocks: list[Block] = [entry.samples for entry in shown]
        for view in views:
            name = view.target.name
            blocks.append(about_target(view.target, view.state))
            blocks.append(cost_of(view.target, costs.get(name, Cost()), more.get(name, 0.0)))
        blocks += (block for view in views for entry in _entries(view, entries) for block in entry.about)
        valid_until = min((entry.expires for entry in shown), default=math.inf)
        joined = self._joined[form] = Joined(made_of, valid_until, pieces(blocks, form), old)
        return joined

    def _drop_strangers(self, entries: Entries, views: Sequence[TargetView]) -> None:
        registered = {view.target.name: _names(view) for view in views}
        for target, checks in entries.items():
            names = registered.get(target)
            strangers = checks.keys() - set(names or ())
            if strangers:
                self._ledger.drop(target, strangers if names is not None else None)


def _names(view: TargetView) -> tuple[str, ...]:
    return tuple(known.check.name for known in view.checks)


def _entries(view: TargetView, entries: Entries) -> Sequence[Entry]:
    own: Mapping[str, Entry] = entries.get(view.target.name, {})
    return [own[name] for name in _names(view) if name in own]


def _true_now(view: TargetView, entries: Entries) -> Sequence[Entry]:
    """The entries whose samples may be shown: of a lost server only what the connect probe says."""
    lost = view.state.up is False and view.state.facts is None
    return [entry for entry in _entries(view, entries) if entry.is_probe or not lost]


def _limited(entry: Entry, target: Target, check: Check, stretch: float) -> Entry:
    """The entry with the limits that are in force now, rendered anew when they are others."""
    overridden = target.overrides(check.name, _today())
    limited_by = (target, check, overridden, stretch)
    if entry.limits is not NOTHING and entry.limited_by == limited_by:
        return entry
    limits = limits_of(target, check, overridden=overridden, stretch=stretch)
    return replace(entry, limits=limits, limited_by=limited_by)


def _at_pace(target: Target, known: CheckView, now: float) -> Callable[[Entry, Tally], Entry]:
    """The entry at the pace the check has now. One that may run earlier is told of as before until it does.

    Its last answer is as old as the longer interval: beside a shorter one it would look as if the check had stopped.
    """
    interval = interval_of(target, known.check) * known.stretch

    def change(old: Entry, _tally: Tally) -> Entry:
        if interval < old.interval_seconds:
            return old
        entry = _limited(old, target, known.check, known.stretch)
        if interval == entry.interval_seconds or now >= entry.expires:
            return entry
        longer = 2 * (interval - entry.interval_seconds)
        return replace(entry, expires=entry.expires + longer, interval_seconds=interval)

    return change


def _says_the_same(before: Outcome | None, now: Outcome) -> bool:
    return before is not None and _verdict(before) == _verdict(now)


def _verdict(outcome: Outcome) -> tuple[object, ...]:
    counts = Counter(finding.status for finding in outcome.findings) if outcome.answered else None
    return outcome.status, outcome.reason, counts


def _today() -> datetime.date:
    """The date by which an ignore's `until` is judged."""
    return datetime.datetime.now(tz=datetime.UTC).date()
