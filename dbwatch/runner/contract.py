"""Owns holding a result to what its check declared: the columns, their types, unique keys. Pure.

A result that does not fit is an error of the check, never of the page it would have been on.
"""

from __future__ import annotations

import decimal
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import ColumnSpec, Use
from dbwatch.errors import CheckError
from dbwatch.model import RawRow, Reason, Row


def fit(check: Check, raw_rows: Iterable[RawRow]) -> tuple[Row, ...]:
    """The rows as declared. Raises CheckError(bad_result) naming the column."""
    rows = [_row(check, raw) for raw in raw_rows]
    often = {key for key, count in Counter(row.key for row in rows).items() if count > 1}
    if often:
        rows = [replace(row, key=_exact_key(check, row)) if row.key in often else row for row in rows]
    seen: set[str] = set()
    for row in rows:
        if row.key in seen:
            raise _bad(check, f"two rows have the key {row.key!r}; name a label that tells them apart")
        seen.add(row.key)
    return tuple(rows)


def _row(check: Check, raw: RawRow) -> Row:
    extra, missing = sorted(set(raw) - set(check.columns)), sorted(set(check.columns) - set(raw))
    if extra or missing:
        parts = [f"{kind} {', '.join(names)}" for kind, names in (("undeclared", extra), ("missing", missing)) if names]
        raise _bad(check, f"the result does not fit the declared columns: {'; '.join(parts)}")
    labels: dict[str, str] = {}
    values: dict[str, float | None] = {}
    details: dict[str, str | None] = {}
    for name, column in check.columns.items():
        value = raw[name]
        if column.use is Use.LABEL:
            labels[name] = _text(value) or ""
        elif column.type == "text":
            details[name] = _text(value)
        else:
            values[name] = _number(check, name, column, value)
    key = ".".join(labels[name] for name in check.key) if check.key else check.name
    return Row(labels, values, details, key=key)


def _exact_key(check: Check, row: Row) -> str:
    """Names may hold dots: "a.b".c is not a."b.c", and whoever may create the two must not blind a check."""
    return ".".join(_part(row.labels[name]) for name in check.key) if check.key else row.key


def _part(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if "." in text or text.startswith('"') else text


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def _number(check: Check, name: str, column: ColumnSpec, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, (int, float, decimal.Decimal)):
        raise _bad(check, f"{name} is {type(value).__name__}, not a number")
    try:
        number = float(value)
    except OverflowError:
        raise _bad(check, f"{name} does not fit a 64-bit float") from None
    if not math.isfinite(number):
        raise _bad(check, f"{name} is {number}, not a finite number")
    if column.use is Use.COUNTER and number < 0:
        raise _bad(check, f"the counter {name} is negative")
    return number


def _bad(check: Check, message: str) -> CheckError:
    return CheckError(Reason.BAD_RESULT, f"{check.name}: {message}", step="result")
