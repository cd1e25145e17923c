"""Owns the row that says when a restore was last proven."""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.backup.context import BackupContext, groups
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import duration_text


def restoring(context: BackupContext) -> Sequence[RawRow]:
    """Skipped where nobody says how a proven restore can be seen: unknown is not proven."""
    if context.target.backups.restore_test is None:
        raise Skipped(
            Reason.SETTING,
            "whether a restore was ever tried cannot be seen: name a file in `restore_test` that the test touches",
        )
    rows: list[RawRow] = []
    for told in context.told:
        for group in groups(told, context.now_seconds):
            newest = group.done[0] if group.done else None
            finished = newest.finished_at_seconds if newest is not None else None
            age = None if finished is None else max(0.0, context.now_seconds - finished)
            said = "no restore of these backups was ever proven"
            if age is not None:
                said = f"the last proven restore was {duration_text(age)} ago"
            said = "; ".join((f"{said}, one is due every {duration_text(group.every)}", *_doubts(told.seen.troubles)))
            rows.append(
                {
                    "never": newest is None,
                    "age_seconds": age,
                    "every_seconds": group.every,
                    "look": told.seen.command or "",
                    "sentence": said,
                }
            )
    return rows


def _doubts(troubles: Sequence[object]) -> list[str]:
    return [str(getattr(trouble, "text", trouble)) for trouble in troubles]
