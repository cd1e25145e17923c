"""Owns the one status and the exit code of a whole report. Knows no format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dbwatch.model import Status

if TYPE_CHECKING:
    from dbwatch.report.comparison import Comparison
    from dbwatch.store import TargetView


def overall(views: Sequence[TargetView]) -> Status:
    """The worst of the targets; `unknown` when there is none, because then nothing was looked at."""
    statuses = [view.status for view in views]
    found = max(statuses, key=lambda status: status.severity, default=Status.UNKNOWN)
    return Status.OK if found is Status.SKIPPED else found


def exit_code(
    views: Sequence[TargetView], fail_on: Status = Status.WARNING, *, only_new: Comparison | None = None
) -> int:
    """Nagios: 0 ok, 1 warning, 2 critical, 3 unknown. With `fail_on` critical a warning is 0.

    `only_new`: what this baseline has already counts as ok. A target that cannot be reached is never that.
    """
    status = overall(views) if only_new is None else _new(views, only_new)
    if status is Status.WARNING and fail_on is Status.CRITICAL:
        return 0
    return status.number


def _new(views: Sequence[TargetView], comparison: Comparison) -> Status:
    """The worst of what the baseline does not have."""
    if not views or any(view.state.up is False for view in views) or comparison.new_unknown:
        floor = Status.UNKNOWN
    else:
        floor = Status.OK
    found = [
        finding.status
        for view in views
        for check in view.checks
        if check.outcome is not None
        for finding in check.outcome.findings
        if comparison.is_news(view.target.name, check.check.name, finding)
    ]
    return max([floor, *found], key=lambda status: status.severity)
