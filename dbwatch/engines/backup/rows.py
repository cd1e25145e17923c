"""Owns saying what was seen in a folder of dumps as the row of a check. Pure."""

from __future__ import annotations

import shlex

from dbwatch.config import Dumps
from dbwatch.engines.dumps import DumpsSeen
from dbwatch.model import RawRow
from dbwatch.units import bytes_text, duration_text


def dumps_row(dumps: Dumps, seen: DumpsSeen, now_seconds: float) -> RawRow:
    """The row of the probe `dumps`. The age counts from the moment the newest whole dump was finished."""
    newest = seen.newest_at_seconds
    age = None if newest is None else max(0.0, now_seconds - newest)
    return {
        "complete": float(seen.complete),
        "incomplete": float(seen.incomplete),
        "newest_age_seconds": age,
        "newest_timestamp_seconds": newest,
        "newest_bytes": None if seen.newest_bytes is None else float(seen.newest_bytes),
        "usual_bytes": seen.usual_bytes,
        "every_seconds": dumps.every,
        "folder": shlex.quote(str(dumps.path)),
        "sentence": _sentence(dumps, seen, age),
    }


def _sentence(dumps: Dumps, seen: DumpsSeen, age_seconds: float | None) -> str:
    """What a person wants to read first, whatever the verdict will be."""
    unfinished = f"; {seen.problem}" if seen.problem else ""
    if age_seconds is None or seen.newest_bytes is None:
        if seen.incomplete:
            return f"never a whole backup in {dumps.path}: none of the {seen.incomplete} files is complete{unfinished}"
        return f"never a backup in {dumps.path}: no file matches {dumps.pattern}"
    size = bytes_text(seen.newest_bytes)
    usual = f", usually {bytes_text(seen.usual_bytes)}" if seen.usual_bytes is not None else ""
    due = duration_text(dumps.every)
    age = duration_text(age_seconds)
    late = f"is {age} old, a new one is due after {due}"
    return f"the last whole backup {seen.newest_name} ({size}{usual}) {late}{unfinished}"
