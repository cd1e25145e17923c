"""Owns the families an exporter tells of itself: reached or not, its last scrape, its collectors. Pure.

Nothing is scraped when a page is asked for. A scrape is therefore a run of a collector here, and the duration of the
last one is what the last runs of all collectors took together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from dbwatch.catalogue.families import Exporter
from dbwatch.exposition.block import Part, plain
from dbwatch.model import Outcome, Reason, Status
from dbwatch.store import TargetState

_Samples: TypeAlias = Sequence[tuple[Mapping[str, str], float]]
_Read: TypeAlias = "Callable[[TargetState, Sequence[Lately]], _Samples]"
_NONE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Lately:
    """The last run of one collector, and what was counted of its runs."""

    name: str
    outcome: Outcome
    runs: int
    dropped: int


@dataclass(frozen=True, slots=True)
class OwnFamily:
    """One such family, and its samples."""

    name: str
    kind: str
    help: str
    samples: _Read
    labels: tuple[str, ...] = ()


def own_parts(exporter: Exporter, state: TargetState, lately: Sequence[Lately]) -> Iterator[Part]:
    """What the page of one target says of the exporter itself."""
    for family in OWN[exporter]:
        samples = family.samples(state, lately)
        if samples:
            yield plain(family.name, family.help, family.kind, samples)


def succeeded(outcome: Outcome) -> bool:
    """A question that does not arise on this server is answered; one that our role may not ask is not."""
    return outcome.answered or (outcome.status is Status.SKIPPED and outcome.reason is not Reason.PRIVILEGE)


def _up(state: TargetState, _: Sequence[Lately]) -> _Samples:
    return [(_NONE, float(state.up is True))]


def _error(state: TargetState, lately: Sequence[Lately]) -> _Samples:
    return [(_NONE, float(state.up is not True or not all(succeeded(run.outcome) for run in lately)))]


def _error_of_any(state: TargetState, lately: Sequence[Lately]) -> _Samples:
    """A command that the user may not run is no error to redis_exporter."""
    return [(_NONE, float(state.up is not True or any(run.outcome.status is Status.UNKNOWN for run in lately)))]


def _duration(_: TargetState, lately: Sequence[Lately]) -> _Samples:
    return [(_NONE, sum(run.outcome.duration_seconds for run in lately))] if lately else []


def _scrapes(_: TargetState, lately: Sequence[Lately]) -> _Samples:
    return [(_NONE, max((run.runs for run in lately), default=0))]


def _success(_: TargetState, lately: Sequence[Lately]) -> _Samples:
    return [({"collector": run.name}, float(succeeded(run.outcome))) for run in lately]


def _durations(_: TargetState, lately: Sequence[Lately]) -> _Samples:
    return [({"collector": run.name}, run.outcome.duration_seconds) for run in lately]


def _dropped(_: TargetState, lately: Sequence[Lately]) -> _Samples:
    return [({"collector": run.name}, run.dropped) for run in lately]


def _general(prefix: str, error: _Read) -> tuple[OwnFamily, ...]:
    exporter = f"{prefix}_exporter"
    return (
        OwnFamily(f"{prefix}_up", "gauge", "Whether the server answered the last time it was asked.", _up),
        OwnFamily(
            f"{exporter}_last_scrape_error", "gauge", "Whether the last run of a collector gave no answer.", error
        ),
        OwnFamily(
            f"{exporter}_last_scrape_duration_seconds",
            "gauge",
            "Time the last runs of all collectors took together.",
            _duration,
        ),
        OwnFamily(f"{exporter}_scrapes_total", "counter", "Runs of the collector that runs most often.", _scrapes),
        OwnFamily(
            "dbwatch_compat_series_dropped_total",
            "counter",
            "Series and rows left out of this page: too many, of equal labels, or with a name that cannot be one.",
            _dropped,
            ("collector",),
        ),
    )


OWN: Final[Mapping[Exporter, tuple[OwnFamily, ...]]] = {
    Exporter.POSTGRES: (
        *_general("pg", _error),
        OwnFamily(
            "pg_scrape_collector_success",
            "gauge",
            "Whether the last run of the collector gave an answer.",
            _success,
            ("collector",),
        ),
        OwnFamily(
            "pg_scrape_collector_duration_seconds",
            "gauge",
            "Time the last run of the collector took.",
            _durations,
            ("collector",),
        ),
    ),
    Exporter.REDIS: _general("redis", _error_of_any),
}
