"""Owns the rows that hold what is kept against what was promised. A row only where somebody promised something.

A cluster cannot have older backups than itself: how old it is stands in its system identifier, which begins with the
second initdb was run.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.config.backups import Schedule
from dbwatch.engines.backup.context import BackupContext, Group, Told, ends_of, groups
from dbwatch.engines.backup.record import Retention
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import duration_text

_SLACK = 1.25


def promises(context: BackupContext) -> Sequence[RawRow]:
    """Skipped when nobody promised anything."""
    rows: list[RawRow] = []
    for told in context.told:
        for group in groups(told, context.now_seconds):
            promise = _promise(told, group)
            if group.kind in ("dump", "full") and promise != Retention():
                rows.append(_row(group, promise))
    if not rows:
        text = "no retention is promised: neither `retention` nor `keep` is configured, and no tool tells its own"
        raise Skipped(Reason.SETTING, text)
    return rows


def _promise(told: Told, group: Group) -> Retention:
    """The configuration's promise, else what the tool says of itself."""
    own = _configured(told.schedule)
    if own != Retention():
        return own
    of_tool = [promise for promise in told.seen.retention if promise.repository in ("", group.repository)]
    return Retention(
        max((p.full_backups for p in of_tool if p.full_backups is not None), default=None),
        max((p.seconds for p in of_tool if p.seconds is not None), default=None),
    )


def _configured(schedule: Schedule) -> Retention:
    return Retention(schedule.keep, schedule.retention)


def _row(group: Group, promise: Retention) -> RawRow:
    kept = group.done
    oldest = group.now_seconds - ends_of(kept[-1]) if kept else None
    age = _cluster_age(group)
    # What is deleted is deleted when a newer one is there, so a whole interval may be missing at any moment.
    slack = _SLACK * group.every
    expected_seconds = None if promise.seconds is None else max(0.0, promise.seconds - slack)
    expected_count = promise.full_backups
    if age is not None:
        expected_seconds = None if expected_seconds is None else min(expected_seconds, max(0.0, age - slack))
        young = expected_count is not None and age < (expected_count + 1) * group.every
        expected_count = min(expected_count or 0, len(kept)) if young else expected_count
    missing_seconds = None if expected_seconds is None else max(0.0, expected_seconds - (oldest or 0.0))
    missing = None if expected_count is None else float(max(0, expected_count - len(kept)))
    return {
        **group.labels,
        "kept": float(len(kept)),
        "oldest_seconds": oldest,
        "missing": missing,
        "missing_seconds": missing_seconds,
        "look": group.told.seen.command or "",
        "sentence": _sentence(group, promise, len(kept), oldest),
    }


def _sentence(group: Group, promise: Retention, kept: int, oldest: float | None) -> str:
    promised = []
    if promise.seconds is not None:
        promised.append(f"going back {duration_text(promise.seconds)}")
    if promise.full_backups is not None:
        promised.append(f"{promise.full_backups} of them")
    reach = f", the oldest {duration_text(oldest)} old" if oldest is not None else ""
    what = "dump" if group.kind == "dump" else "full backup"
    are = " is" if kept == 1 else "s are"
    by = "the configuration" if _configured(group.told.schedule) != Retention() else str(group.told.seen.source)
    return f"{kept} {what}{are} kept{group.where}{reach}; {by} promises {' and '.join(promised)}"


def _cluster_age(group: Group) -> float | None:
    identifier = group.told.seen.system_identifier
    if identifier is None or not identifier.isdecimal():
        return None
    age = group.now_seconds - (int(identifier) >> 32)
    return age if age > 0 else None
