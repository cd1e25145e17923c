"""Owns reading synchronous_standby_names: how many standbys a commit waits for, and which may count. Pure.

[FIRST] 2 (a, "b c")    ANY 1 (a, b)    a, b    *
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TOKEN = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([(),*])|([^\s(),*"]+))')
_ANY_STANDBY = "*"


@dataclass(frozen=True, slots=True)
class SyncNames:
    """`names` in order of priority; `*` stands for any standby. `quorum`: whichever answer first count."""

    required: int
    names: tuple[str, ...]
    quorum: bool = False

    def absent(self, connected: Iterable[str]) -> tuple[str, ...]:
        """The names nobody is connected under; names compare as the server does it, whatever their case."""
        present = {name.lower() for name in connected}
        return tuple(name for name in self.names if name != _ANY_STANDBY and name.lower() not in present)


def parse_sync_names(text: str) -> SyncNames | None:
    """None when commits wait for nobody, or the text is nothing the server would have taken."""
    tokens = list(_tokens(text))
    words = [word for word, _ in tokens]
    if "(" not in [word for word, quoted in tokens if not quoted]:
        names = _names(tokens)
        return SyncNames(1, names) if names else None
    opening = words.index("(")
    head = [word.upper() for word in words[:opening]]
    names = _names(tokens[opening + 1 : -1])
    count = head[-1] if head else ""
    if not count.isdigit() or head[:-1] not in ([], ["FIRST"], ["ANY"]) or not names:
        return None
    return SyncNames(int(count), names, quorum=head[:-1] == ["ANY"])


def _tokens(text: str) -> Iterable[tuple[str, bool]]:
    """Each word, and whether it was quoted."""
    for quoted, sign, word in _TOKEN.findall(text):
        yield (sign or word, False) if sign or word else (quoted.replace('""', '"'), True)


def _names(tokens: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
    return tuple(word for word, quoted in tokens if quoted or word != ",")
