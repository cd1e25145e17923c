"""Owns what a label value may look like on the page. Knows no metric.

Names come from the monitored server and are hostile: they may hold newlines, terminal escapes, half a surrogate pair,
or a kilobyte. Two names may become equal here; whoever writes series drops and counts the second.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

LONGEST: Final = 128

_HASH_DIGITS: Final = 8
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SHORT_ESCAPES: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def clean(value: str) -> str:
    """`value` without control characters and lone surrogates, cut to 128 characters with a hash of the whole."""
    if len(value) <= LONGEST and value.isprintable():
        return value
    shown = "".join(_visible(character) for character in _SURROGATE.sub("\ufffd", value))
    if len(shown) <= LONGEST:
        return shown
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{shown[: LONGEST - _HASH_DIGITS - 1]}~{digest}"


def _visible(character: str) -> str:
    if unicodedata.category(character) != "Cc":
        return character
    return _SHORT_ESCAPES.get(character, f"\\x{ord(character):02x}")
