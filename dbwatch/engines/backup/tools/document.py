"""Owns reading what tools print as JSON: lenient about keys that are missing or new, strict about nonsense.

A key that is not there is None. A value of the wrong kind, or text that is no JSON, is a CheckError with the reason
bad_result: a tool that speaks nonsense has told nothing about the backups.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NoReturn

from dbwatch.errors import CheckError
from dbwatch.model import Reason

_LATEST_SECONDS = 32_503_680_000.0
"""The year 3000: beyond it is no moment of a backup, but another unit or a broken number."""
_WAL_NAME = re.compile(r"[0-9A-Fa-f]{24}")


class Node:
    """One value of a document, and where it stands in it."""

    __slots__ = ("_name", "_place", "_value")

    def __init__(self, value: object, name: str, place: str = "") -> None:
        self._value = value
        self._name = name
        self._place = place

    def __getitem__(self, key: str) -> Node:
        """What stands under the key; a Node of None when nothing does."""
        if self._value is None:
            return self
        if not isinstance(self._value, dict):
            raise self._nonsense("an object")
        return Node(self._value.get(key), self._name, f"{self._place}.{key}" if self._place else key)

    def first(self, *keys: str) -> Node:
        """What stands under the first of these keys that has a value: versions of a tool name things differently."""
        found = (self[key] for key in keys)
        return next((node for node in found if node.present), Node(None, self._name, self._place))

    @property
    def present(self) -> bool:
        return self._value is not None

    def elements(self) -> list[Node]:
        """The elements of what has to be a list."""
        if not self.present:
            raise self._nonsense("a list")
        return list(self)

    def __iter__(self) -> Iterator[Node]:
        """The elements of a list; none when there is no list."""
        if self._value is None:
            return
        if not isinstance(self._value, list):
            raise self._nonsense("a list")
        for index, value in enumerate(self._value):
            yield Node(value, self._name, f"{self._place}[{index}]")

    def members(self) -> Iterator[tuple[str, Node]]:
        """The keys of an object with what stands under them."""
        if self._value is None:
            return
        if not isinstance(self._value, dict):
            raise self._nonsense("an object")
        for key in self._value:
            yield key, self[key]

    @property
    def text(self) -> str | None:
        if self._value is None or isinstance(self._value, str):
            return self._value
        if isinstance(self._value, int) and not isinstance(self._value, bool):
            return str(self._value)
        raise self._nonsense("a text")

    @property
    def flag(self) -> bool | None:
        if self._value is None or isinstance(self._value, bool):
            return self._value
        raise self._nonsense("true or false")

    @property
    def whole(self) -> int | None:
        """A whole number, also written as a text."""
        value = self._value
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value.strip()):
            value = int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        raise self._nonsense("a whole number")

    @property
    def size_bytes(self) -> int | None:
        size = self.whole
        if size is not None and not 0 <= size < 2**63:
            raise self._nonsense("a size")
        return size

    @property
    def moment_seconds(self) -> float | None:
        """Unix seconds, from a number, its text or a date of ISO 8601. Zero and the year 1 say that it is not known."""
        value = self._value
        if isinstance(value, str) and not re.fullmatch(r"-?\d+", value.strip()):
            seconds = self._from_date(value)
        else:
            number = self.whole
            seconds = None if number is None else float(number)
        if seconds is not None and seconds > _LATEST_SECONDS:
            raise self._nonsense("a moment")
        return seconds if seconds is not None and seconds > 0 else None

    @property
    def wal_name(self) -> str | None:
        """A name of 24 hexadecimal digits; None for another text."""
        text = self.text
        found = _WAL_NAME.match(text) if text else None
        return found[0].upper() if found else None

    def _from_date(self, text: str) -> float | None:
        if not text.strip():
            return None
        try:
            # Nanoseconds are more than Python reads.
            moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip()))
        except ValueError:
            raise self._nonsense("a date") from None
        if moment.year < 1970:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    def _nonsense(self, wanted: str) -> CheckError:
        place = self._place or "the whole of it"
        message = f"{self._name} printed JSON that makes no sense: {place} is not {wanted}"
        return CheckError(Reason.BAD_RESULT, message, step="read")


def document(text: bytes, name: str) -> Node:
    """What a tool printed. Raises CheckError with the reason bad_result for what is no JSON; never quotes it."""
    try:
        # pgBackRest quotes what it could not read as it stands, raw bytes of an encrypted file too.
        value: object = json.loads(text.decode("utf-8", "replace"), parse_constant=_refuse, strict=False)
    except (ValueError, RecursionError):
        what = f"{len(text)} bytes that are not JSON" if text.strip() else "nothing"
        message = f"{name} printed {what}"
        remedy = "run the same command by hand, as the user dbwatch runs as"
        raise CheckError(Reason.BAD_RESULT, message, step="read", remedy=remedy) from None
    return Node(value, name)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
