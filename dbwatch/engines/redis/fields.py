"""Owns turning named fields into the row a check declared. Pure.

A field that this server does not have is NULL, never 0: what cannot be seen must not look healthy.
"""

from __future__ import annotations

import math

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import FieldSpec, Use
from dbwatch.engines.redis.commands import Fields
from dbwatch.errors import CheckError
from dbwatch.model import RawRow, Reason, Value


def row_of(check: Check, fields: Fields) -> RawRow:
    """One row by the check's `fields` mapping. Raises CheckError(bad_result) naming a field that is no number."""
    row: dict[str, Value] = {}
    for name, wanted in check.fields.items():
        column = check.columns[name]
        if column.use is Use.LABEL or column.type == "text":
            row[name] = fields.get(wanted.field)
        else:
            row[name] = _number(check, wanted, fields)
    return row


def number(fields: Fields, name: str) -> float | None:
    """A field as a number; None when it is missing, no number or not finite."""
    text = fields.get(name)
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def flag(info: Fields, name: str, wanted: str) -> float | None:
    """1 when the field says `wanted`, 0 when it says something else, None when it is missing."""
    text = info.get(name)
    return None if text is None else float(text == wanted)


def error_count(info: Fields, code: str) -> float | None:
    """How often clients were answered with this error; 0 when never, NULL when the server does not count."""
    if "total_error_replies" not in info or "errorstat_ERRORSTATS_DISABLED" in info:
        return None
    return number(info, f"errorstat_{code}.count") or 0.0


def _number(check: Check, wanted: FieldSpec, fields: Fields) -> float | None:
    text = fields.get(wanted.field)
    if text is None:
        return wanted.default
    if wanted.equals is not None:
        return float(text == wanted.equals)
    try:
        value = float(text)
    except ValueError:
        message = f"{check.name}: the field {wanted.field} is {text[:40]!r}, not a number"
        raise CheckError(Reason.BAD_RESULT, message, step="result") from None
    if not math.isfinite(value):  # fragmentation ratios divide by zero on some builds
        return None
    return value if wanted.scale is None else value * wanted.scale
