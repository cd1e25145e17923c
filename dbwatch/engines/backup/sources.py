"""Owns which sources a target has, what each is expected to do, and looking at them: seldom, and one after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dbwatch.config import Backups
from dbwatch.config.backups import Schedule
from dbwatch.deadline import Deadline
from dbwatch.engines.backup.files import MarkerSource, planned_dumps
from dbwatch.engines.backup.planned import Planned
from dbwatch.engines.backup.record import Seen, SourceName
from dbwatch.engines.backup.tools import tool_sources
from dbwatch.errors import CheckError
from dbwatch.model import Reason
from dbwatch.units import duration_text

_FILES = frozenset({SourceName.DUMPS, SourceName.MARKER, SourceName.RESTORE_TEST})
_FRESH_SECONDS = 240.0
"""The checks of one target share a look at its files, which may lie far away; tools keep a pace of their own."""
_LEAST_SECONDS = 1.0


def plan(backups: Backups) -> tuple[Planned, ...]:
    """Every source of a target."""
    return (*_files(backups), *_tools(backups))


def _files(backups: Backups) -> Iterator[Planned]:
    for dumps in backups.dumps:
        yield planned_dumps(dumps, dumps.name or (dumps.path.name if len(backups.dumps) > 1 else ""))
    for marker in backups.markers:
        yield Planned(MarkerSource.of_marker(marker), Schedule(marker.every, marker.every))
    if backups.restore_test is not None:
        every = backups.restore_test.every
        yield Planned(MarkerSource.of_restore_test(backups.restore_test), Schedule(every, every))


def _tools(backups: Backups) -> Iterator[Planned]:
    schedules = [tool.schedule for tool in backups.pgbackrest]
    schedules += [tool.schedule for tool in backups.barman]
    schedules += [tool.schedule for tool in backups.walg]
    for schedule, source in zip(schedules, tool_sources(backups), strict=True):
        yield Planned(source, schedule)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a source told, or why it could not be seen."""

    planned: Planned
    seen: Seen | None = None
    error: CheckError | None = None


@dataclass(slots=True)
class Looker:
    """Looks at the sources of one target. Used by the lane's thread only."""

    planned: tuple[Planned, ...]
    now: Callable[[], float] = time.monotonic
    _files: dict[int, tuple[float, Looked]] = field(default_factory=dict)

    def look(self, deadline: Deadline, wanted: Callable[[SourceName], bool]) -> tuple[Looked, ...]:
        """All sources that are wanted; one that hangs leaves the others their share of the time."""
        mine = [(index, one) for index, one in enumerate(self.planned) if wanted(one.source.source)]
        found: list[Looked] = []
        for position, (index, one) in enumerate(mine):
            at, known = self._files.get(index, (0.0, None))
            if known is None or self.now() - at > _FRESH_SECONDS:
                share = max(_LEAST_SECONDS, deadline.remaining / (len(mine) - position))
                known = _asked(one, deadline.capped(share))
                if known.seen is not None and one.source.source in _FILES:
                    self._files[index] = (self.now(), known)
            found.append(known)
        return tuple(found)


def _asked(planned: Planned, deadline: Deadline) -> Looked:
    if deadline.passed:
        return Looked(planned, error=CheckError(Reason.TIMEOUT, "no time was left to look", step="look"))
    try:
        seen = planned.source.look(deadline)
    except CheckError as error:
        return Looked(planned, error=error)
    old = time.time() - seen.as_of_seconds if seen.as_of_seconds is not None else 0.0
    if old > planned.schedule.every:
        text = f"what was recorded of {planned.text} is {duration_text(old)} old: nobody knows what is there now"
        return Looked(planned, error=CheckError(Reason.ERROR, text, step="read"))
    return Looked(planned, seen)
