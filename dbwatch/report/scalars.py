"""Owns what of a text or a number a JSON document can say. Knows no document."""

from __future__ import annotations

import math
import re
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

_EXACT = 2.0**53
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def scalar_text(text: str) -> str:
    """JSON has no code for half of a surrogate pair, and strict readers refuse one."""
    return _SURROGATE.sub("\ufffd", text)


def scalar_number(value: float | None) -> JsonValue:
    """1.0 is written 1; what no JSON number can say is null."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if abs(value) <= _EXACT and float(value).is_integer() else float(value)
