"""Owns the rows about statements that became slower than they usually are. Judges nothing.

What is usual, and what is beyond chance, is `engines.postgres.statements.baseline`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.statements.baseline import LEAST_CALLS, Judgement, cause
from dbwatch.engines.postgres.statements.counters import ZERO
from dbwatch.engines.postgres.statements.names import read_names
from dbwatch.engines.postgres.statements.snapshot import Identity
from dbwatch.engines.postgres.statements.top import ordered, places
from dbwatch.engines.postgres.statements.watching import Watching
from dbwatch.model import RawRow

_KEEP = 15
_MOST_JUDGED = 300


def statement_regression(context: ProbeContext) -> Sequence[RawRow]:
    """The statements that take most of the time and those that became slower, against their own baseline."""
    watching = context.memory.of(Watching)
    shape, look = watching.looked(context)
    if look.seconds is None:
        return []
    now = time.monotonic()
    enough = {identity: change for identity, change in look.changes.items() if change.calls >= LEAST_CALLS}
    by_time = ordered(enough, lambda change: change.exec_seconds)
    judged = {
        identity: watching.baselines.judge(identity, enough[identity], look.seconds, now)
        for identity in by_time[:_MOST_JUDGED]
    }
    series = watching.series(context.check.name, _KEEP)
    series.take(look, places(by_time))
    slower = sorted(
        (identity for identity, judgement in judged.items() if judgement is not None and judgement.slower),
        key=lambda identity: (-_added(judged[identity]), identity),
    )
    shown = [*slower[:_KEEP], *(name for name in series.named if name in enough and name not in slower[:_KEEP])]
    names = read_names(context, shown)
    busy = max(look.active_seconds or 0.0, look.all.top_exec_seconds)
    rows: dict[Identity, dict[str, object]] = {}
    for identity in shown:
        change, judgement = look.changes.get(identity, ZERO), judged.get(identity)
        rows[identity] = {
            **names.labels(identity),
            "mean_seconds": change.mean_seconds,
            "calls": change.calls,
            "complete": not look.losses.any,
            **_compared(judgement, busy, look.seconds),
        }
    return watching.described(context, shape, names, rows)


def _added(judgement: Judgement | None) -> float:
    return judgement.added_seconds_per_minute if judgement is not None else 0.0


def _compared(judgement: Judgement | None, busy_seconds: float, seconds: float) -> dict[str, object]:
    """Nothing of it is known until the statement has a baseline."""
    if judgement is None:
        return dict.fromkeys(
            (
                *("baseline_mean_seconds", "slowdown_ratio", "significance", "slower_windows"),
                *("added_seconds_per_minute", "added_share", "cause"),
            )
        )
    added = judgement.added_seconds_per_minute * seconds / 60
    return {
        "baseline_mean_seconds": judgement.baseline_mean_seconds,
        "slowdown_ratio": judgement.ratio,
        "significance": judgement.significance,
        "slower_windows": judgement.slower_windows,
        "added_seconds_per_minute": judgement.added_seconds_per_minute,
        "added_share": added / busy_seconds if busy_seconds > 0 else None,
        "cause": cause(judgement),
    }
