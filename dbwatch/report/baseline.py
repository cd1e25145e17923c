"""Owns the baseline of findings: recording what is known today, telling later what is new. Knows no report format.

A finding is the same when target, check and key are. A check that could not look has fixed nothing, and neither has one
that did not run, that did not see every database, or whose rows were cut off at its limit.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dbwatch import __version__
from dbwatch.errors import ConfigError
from dbwatch.model import Finding, Status
from dbwatch.report.comparison import Comparison, Fixed, Novelty
from dbwatch.report.scalars import scalar_text
from dbwatch.store import TargetView

_MOST_BYTES = 64 * 1024 * 1024


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Known(_Strict):
    """A finding of the day the baseline was recorded."""

    target: str
    check: str
    key: str
    status: Literal["warning", "critical"]


class Unanswered(_Strict):
    """A check that could not look on that day."""

    target: str
    check: str


class Baseline(_Strict):
    """The file."""

    baseline_version: Literal[1] = 1
    recorded_at: datetime.datetime
    dbwatch_version: str
    findings: list[Known] = Field(default_factory=list)
    unknown: list[Unanswered] = Field(default_factory=list)


def recorded(views: Sequence[TargetView], now: datetime.datetime, before: Baseline | None = None) -> Baseline:
    """What is known from `now` on, in a stable order, so that a repository shows what changed.

    Of `before` stays what this run did not look at: it would be news once somebody looks again.
    """
    places = {(known.target, known.check, known.key): known for known in _found(views)}
    unknown = {(view.target.name, name) for view in views for name in _unknown(view)}
    if before is not None:
        looked, answered = _looked(views), _answered(views)
        for known in before.findings:
            if (known.target, known.check) not in looked:
                places.setdefault((known.target, known.check, known.key), known)
        unknown |= {(each.target, each.check) for each in before.unknown} - answered
    return Baseline(
        recorded_at=now.replace(microsecond=0),
        dbwatch_version=__version__,
        findings=[places[place] for place in sorted(places)],
        unknown=[Unanswered(target=target, check=check) for target, check in sorted(unknown)],
    )


def baseline_text(baseline: Baseline) -> str:
    """The file."""
    return json.dumps(baseline.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


def load_baseline(path: Path) -> Baseline:
    """Raises ConfigError, naming the file and what is wrong with it."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError.of(str(path), "is too large for a baseline", hint="record it anew")
        return Baseline.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError.of(str(path), f"cannot be read: {error.strerror}", hint="check its path and mode") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{where}: {first['msg']}" if where else first["msg"]
        hint = "delete it, and the next run records a new one"
        raise ConfigError.of(str(path), f"is not a baseline: {what}", hint=hint) from None


def compare(baseline: Baseline, views: Sequence[TargetView]) -> Comparison:
    """What is new, worse or unchanged, and what is gone."""
    before = {(known.target, known.check, known.key): known for known in baseline.findings}
    looked = _looked(views)
    marks = {
        (view.target.name, check.check.name, key): _novelty(
            before.get((view.target.name, check.check.name, key)), finding
        )
        for view in views
        for check in view.checks
        # One that failed in a database may have found something in another.
        for finding in (check.outcome.findings if check.outcome is not None else ())
        for key in (scalar_text(finding.key),)
    }
    fixed = tuple(
        Fixed(*place, known.status) for place, known in before.items() if place not in marks and place[:2] in looked
    )
    unknown_before = {(each.target, each.check) for each in baseline.unknown}
    unknown = {(view.target.name, name) for view in views for name in _unknown(view)}
    return Comparison(baseline.recorded_at, marks, fixed, frozenset(unknown - unknown_before))


def _answered(views: Sequence[TargetView]) -> set[tuple[str, str]]:
    return {
        (view.target.name, check.check.name)
        for view in views
        for check in view.checks
        if check.outcome is not None and check.outcome.answered
    }


def _looked(views: Sequence[TargetView]) -> set[tuple[str, str]]:
    """The checks that saw all there is: what they do not find is gone."""
    return {
        (view.target.name, check.check.name)
        for view in views
        for check in view.checks
        if check.outcome is not None
        and check.outcome.answered
        and not check.outcome.dropped_rows
        and not check.outcome.partial
    }


def _novelty(known: Known | None, finding: Finding) -> Novelty:
    if known is None:
        return Novelty.NEW
    return Novelty.WORSE if finding.status.severity > Status(known.status).severity else Novelty.UNCHANGED


def _found(views: Sequence[TargetView]) -> Iterator[Known]:
    for view in views:
        for check in view.checks:
            for finding in check.outcome.findings if check.outcome is not None else ():
                status: Literal["warning", "critical"] = "critical" if finding.status is Status.CRITICAL else "warning"
                key = scalar_text(finding.key)
                yield Known(target=view.target.name, check=check.check.name, key=key, status=status)


def _unknown(view: TargetView) -> Iterator[str]:
    for check in view.checks:
        if check.outcome is not None and check.outcome.status is Status.UNKNOWN:
            yield check.check.name
