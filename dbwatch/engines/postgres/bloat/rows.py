"""Owns the typed reading of result rows and of the small packed texts that the SQL of this package returns.

A value of another type is a defect of our own SQL and raises TypeError; NULL is read only where it may occur.
"""

from __future__ import annotations

from collections.abc import Mapping

Row = Mapping[str, object]


def integer(row: Row, name: str) -> int:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: integer expected, not {value!r}")
    return value


def integer_or_none(row: Row, name: str) -> int | None:
    return None if row[name] is None else integer(row, name)


def number(row: Row, name: str) -> float:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: number expected, not {value!r}")
    return float(value)


def number_or_none(row: Row, name: str) -> float | None:
    return None if row[name] is None else number(row, name)


def text(row: Row, name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise TypeError(f"{name}: text expected, not {value!r}")
    return value


def text_or_none(row: Row, name: str) -> str | None:
    return None if row[name] is None else text(row, name)


def flag(row: Row, name: str) -> bool:
    value = row[name]
    if not isinstance(value, bool):
        raise TypeError(f"{name}: boolean expected, not {value!r}")
    return value


def pairs(packed: str | None) -> list[tuple[int, float]]:
    """`12:0.5 40:0.25` as [(12, 0.5), (40, 0.25)]."""
    if not packed:
        return []
    return [(int(left), float(right)) for left, _, right in (part.partition(":") for part in packed.split(" "))]


def option(packed: str | None, name: str) -> str | None:
    """One storage option out of `{fillfactor=70,autovacuum_enabled=off}`."""
    if packed:
        for part in packed.strip("{}").split(","):
            key, _, value = part.strip('"').partition("=")
            if key == name:
                return value
    return None


def fillfactor(packed: str | None, default: int) -> int:
    value = option(packed, "fillfactor")
    return int(value) if value is not None and value.isdigit() else default


def numbers(packed: str | None) -> list[float]:
    """An array of numbers in PostgreSQL's text form, `{0.5,0.25}`."""
    inside = (packed or "").strip("{}")
    return [float(part) for part in inside.split(",")] if inside else []
