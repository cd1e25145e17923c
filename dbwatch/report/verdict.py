"""Owns the one status and the exit code of a whole report. Knows no format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dbwatch.model import Status

if TYPE_CHECKING:
    from dbwatch.store import TargetView


def overall(views: Sequence[TargetView]) -> Status:
    """The worst of the targets; `unknown` when there is none, because then nothing was looked at."""
    statuses = [view.status for view in views]
    found = max(statuses, key=lambda status: status.severity, default=Status.UNKNOWN)
    return Status.OK if found is Status.SKIPPED else found


def exit_code(views: Sequence[TargetView], fail_on: Status = Status.WARNING) -> int:
    """Nagios: 0 ok, 1 warning, 2 critical, 3 unknown. With `fail_on` critical a warning is 0."""
    status = overall(views)
    if status is Status.WARNING and fail_on is Status.CRITICAL:
        return 0
    return status.number
