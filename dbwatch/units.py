"""Owns units: the suffixes a person may write, and how a number is said back to a person.

Refuses to know where a number came from, and never rounds anything that is compared: what is rendered
here is for reading only. Renderers take any float, NaN and infinities included, and never raise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

BYTE_UNITS: Final[Mapping[str, float]] = {
    "B": 1.0,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "TiB": 2.0**40,
}
TIME_UNITS: Final[Mapping[str, float]] = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}

_SHOWN_BYTES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_YEAR: Final = 365.25 * 86400.0
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)[ ]?([A-Za-z]+)[ ]*", re.ASCII)
_PLAIN: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
# Beyond this a grouped integer is digits nobody counts, and a float no longer holds it exactly.
_COUNTABLE: Final = 1e15


def parse_duration(text: str | float) -> float:
    """Seconds of `15s`, `1h30m`, `1d 12h` or a bare number of seconds; ValueError says what is wrong."""
    if not isinstance(text, str):
        return _plain_amount(text, "a duration")
    stripped = text.strip()
    if _PLAIN.fullmatch(stripped):
        return _plain_amount(float(stripped), "a duration")
    total, last_factor, position = 0.0, math.inf, 0
    while position < len(stripped):
        part = _PART.match(stripped, position)
        if part is None:
            raise ValueError(f"{text!r} is not a duration: write it like 15s, 500ms or 1h30m")
        factor = TIME_UNITS.get(part[2])
        if factor is None:
            raise ValueError(f"{text!r}: {part[2]!r} is not a unit of time: use {', '.join(TIME_UNITS)}")
        if factor >= last_factor:
            raise ValueError(f"{text!r}: write the larger unit first and each unit once, like 1h30m")
        total, last_factor, position = total + float(part[1]) * factor, factor, part.end()
    if not stripped:
        raise ValueError("a duration is empty: write it like 15s, 500ms or 1h30m")
    return _plain_amount(total, "a duration")


def parse_bytes(text: str | float) -> int:
    """Bytes of `100MiB`, `1.5GB` or a bare number of bytes; ValueError says what is wrong."""
    if not isinstance(text, str):
        return round(_plain_amount(text, "a size"))
    stripped = text.strip()
    if _PLAIN.fullmatch(stripped):
        return round(_plain_amount(float(stripped), "a size"))
    part = _PART.fullmatch(stripped)
    if part is None:
        raise ValueError(f"{text!r} is not a size: write it like 512kB, 100MiB or 1.5GiB")
    factor = BYTE_UNITS.get(part[2])
    if factor is None:
        raise ValueError(f"{text!r}: {part[2]!r} is not a unit of size: use {', '.join(BYTE_UNITS)}")
    return round(_plain_amount(float(part[1]) * factor, "a size"))


def parse_share(text: object) -> float:
    """The share that `0.5%` is of one, zero (no limit) for `off` and `false`; ValueError says what is wrong.

    `0%` is nobody's wish for no limit, nor for no check at all.
    """
    if text is False or (isinstance(text, str) and text.strip() == "off"):
        return 0.0
    number = text.strip().removesuffix("%").rstrip() if isinstance(text, str) and "%" in text else ""
    if not _PLAIN.fullmatch(number):
        raise ValueError(f"{text!r} is not a share: write it like 0.5%, or false for none")
    share = float(number) / 100
    if not 0 < share <= 1:
        raise ValueError(f"{text!r} is not between 0% and 100% of one core: write it like 0.5%, or false for none")
    return share


def _plain_amount(value: float, what: str) -> float:
    if isinstance(value, bool):
        raise ValueError(f"{what} cannot be {str(value).lower()}")  # noqa: TRY004 - one error type for callers
    try:
        amount = float(value)
    except OverflowError:
        amount = math.inf
    if not math.isfinite(amount):
        raise ValueError(f"{what} must be a finite number")
    if amount < 0:
        raise ValueError(f"{what} cannot be negative: {value}")
    return amount


def bytes_text(value: float) -> str:
    """`38 GiB`, `1.2 GiB`, `812 MiB`: at most three digits, binary units."""
    if (odd := _not_finite(value)) is not None:
        return odd
    amount, unit = abs(float(value)), 0
    # 1023.5 and up would be shown as "1024 KiB", which a person reads as a mistake.
    while _shown(amount) >= 1000 and unit < len(_SHOWN_BYTES) - 1:
        amount, unit = amount / 1024, unit + 1
    shown = _shown(amount) if unit else float(round(amount))
    digits = f"{shown:.1f}".removesuffix(".0") if shown < 10 else number_text(shown)
    return f"{_sign(value, digits)}{digits} {_SHOWN_BYTES[unit]}"


def _shown(amount: float) -> float:
    return round(amount, 1) if amount < 9.95 else float(round(amount))


def duration_text(seconds: float) -> str:
    """`41 days`, `2 h`, `3 min 20 s`, `45 s`, `120 ms`: at most two parts, one when the first is large."""
    if (odd := _not_finite(seconds)) is not None:
        return odd
    amount = abs(float(seconds))
    text = _duration_parts(amount)
    return f"-{text}" if seconds < 0 and text != "0 s" else text


def _duration_parts(amount: float) -> str:
    if amount == 0:
        return "0 s"
    if amount < 0.0005:
        return "<1 ms"
    if amount < 0.9995:
        return f"{round(amount * 1000)} ms"
    if amount < 9.95:
        return f"{amount:.1f}".removesuffix(".0") + " s"
    if amount < 59.5:
        return f"{round(amount)} s"
    if amount < 595:
        return _two_parts(round(amount), 60, "min", "s")
    if amount < 59.5 * 60:
        return f"{round(amount / 60)} min"
    if amount < 9.95 * 3600:
        return _two_parts(round(amount / 60), 60, "h", "min")
    if amount < 23.5 * 3600:
        return f"{round(amount / 3600)} h"
    if amount < 71.5 * 3600:
        days, hours = divmod(round(amount / 3600), 24)
        return _days(days) + (f" {hours} h" if hours else "")
    if amount < 2 * _YEAR:
        return _days(round(amount / 86400))
    years = amount / _YEAR
    return (f"{years:.1f}".removesuffix(".0") if years < 10 else number_text(round(years))) + " years"


def _two_parts(total: int, base: int, large: str, small: str) -> str:
    first, second = divmod(total, base)
    return f"{first} {large}" + (f" {second} {small}" if second else "")


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def count_text(value: float) -> str:
    """`1,234,567`: a number of things, so never a fraction."""
    if (odd := _not_finite(value)) is not None:
        return odd
    if abs(value) >= _COUNTABLE:
        return f"{float(value):.3g}"
    return f"{round(value):,}"


def percent_text(ratio: float) -> str:
    """`87 %` of 0.873; one decimal below 10 % and from 99 %; never `100 %` below 1 nor `0 %` above 0."""
    if (odd := _not_finite(ratio)) is not None:
        return odd
    percent = abs(float(ratio)) * 100
    if math.isinf(percent):
        return _not_finite(percent if ratio > 0 else -percent) or ""
    if 0 < percent < 0.05:
        digits = "<0.1" if ratio > 0 else "0"
    elif 99 <= percent < 100:
        digits = f"{math.floor(percent * 10) / 10:.1f}"
    elif percent < 10:
        digits = f"{percent:.1f}"
    else:
        digits = number_text(float(round(percent)))
    digits = digits.removesuffix(".0")
    return f"{_sign(ratio, digits)}{digits} %"


def number_text(value: float) -> str:
    """A bare number: integers grouped, others to three significant digits."""
    if (odd := _not_finite(value)) is not None:
        return odd
    number = float(value)
    if number.is_integer() or abs(number) >= 999.5:
        return count_text(number)
    decimals = 0 if abs(number) >= 99.95 else 1 if abs(number) >= 9.995 else 2
    if abs(number) >= 0.9995:
        digits = f"{number:.{decimals}f}"
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{number:.3g}"


def _not_finite(value: float) -> str | None:
    try:
        number = float(value)
    except OverflowError:  # an integer no float can hold
        return "infinity" if value > 0 else "-infinity"
    if math.isnan(number):
        return "unknown"
    if math.isinf(number):
        return "infinity" if number > 0 else "-infinity"
    return None


def _sign(value: float, digits: str) -> str:
    return "-" if value < 0 and digits != "0" else ""
