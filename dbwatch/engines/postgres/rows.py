"""Owns reading the cells of a probe's rows: a number or nothing. Knows no query."""

from __future__ import annotations


def number(value: object) -> float | None:
    """The cell as a number; None for NULL and for what is none."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def whole(value: object) -> int | None:
    """The cell as a whole number; None for NULL and for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text(value: object) -> str | None:
    """The cell as text; None for NULL."""
    return None if value is None else str(value)
