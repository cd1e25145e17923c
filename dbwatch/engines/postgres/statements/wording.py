"""Owns what of a statement's text may be shown: its words, never its values. Pure.

The extension writes `$1` for constants of queries. What it leaves (utility statements before 16, type modifiers,
comments, which may hold anything) is taken out here, and statements about passwords and connections are not shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MOST_CHARACTERS: Final = 1_000
_MOST_READ: Final = 20_000
HIDDEN: Final = "<insufficient privilege>"
_QUERIES: Final = frozenset({"select", "insert", "update", "delete", "merge", "with", "values", "table"})
_SECRETS: Final = re.compile(
    r"^(create|alter)\s+(role|user|group|subscription|server|foreign\s+data|user\s+mapping|database)\b|^set\b.*\bpassword",
    re.IGNORECASE,
)

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<line_comment>--[^\n]*)
  | (?P<comment>/\*)
  | (?P<quoted>"(?:[^"]|"")*"?)
  | (?P<escape>[eE]'(?:[^'\\]|''|\\.)*'?)
  | (?P<text>(?:[uU]&|[bBxXnN])?'(?:[^']|'')*'?)
  | (?P<dollar>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?)\$)
  | (?P<parameter>\$\d+)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
  | (?P<number>0[xXoObB][0-9a-fA-F_]+|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Wording:
    """What may be shown. `text` is None when `reason` says why; `whole` means it can still be planned as it stands."""

    text: str | None
    reason: str | None = None
    whole: bool = False


def wording(raw: str | None, major: int) -> Wording:
    """The showable part of a text the extension keeps; `major` is the server's."""
    if raw is None:
        return Wording(None, "the server no longer has its text")
    if raw == HIDDEN:
        return Wording(None, "this role may not see the text: GRANT pg_read_all_stats")
    words = tokens(raw[:_MOST_READ])
    first = next((text.lower() for kind, text in words if kind == "word"), "")
    plain = _joined(words)
    if _SECRETS.search(plain):
        return Wording(None, "statements about passwords and connections are not shown")
    is_query = first in _QUERIES
    if major < 16 and not is_query:
        return Wording(None, "utility statements carry their values before version 16, so they are not shown")
    whole = is_query and len(raw) <= _MOST_READ and len(plain) <= MOST_CHARACTERS
    whole = whole and all(kind not in ("value", "broken") for kind, _ in words)
    if len(plain) > MOST_CHARACTERS:
        plain = plain[: MOST_CHARACTERS - 1] + "…"
    return Wording(plain, None, whole)


def tokens(raw: str) -> list[tuple[str, str]]:
    """Words, signs and spaces; comments are spaces, values a question mark."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(raw):
        match = _TOKEN.match(raw, at)
        if match is None:
            break
        kind, text, at = match.lastgroup or "other", match[0], match.end()
        if match["dollar"] is not None:
            end = raw.find(text, at)
            at = len(raw) if end < 0 else end + len(text)
            found.append(("value", "?"))
        elif kind == "comment":
            at = _comment_end(raw, at)
            found.append(("space", " "))
        elif kind in ("space", "line_comment"):
            found.append(("space", " "))
        elif kind in ("text", "escape", "number"):
            found.append(("value", "?"))
        elif kind == "quoted" and (len(text) < 2 or not text.endswith('"')):
            found.append(("broken", text))
        else:
            found.append((kind, text))
    return found


def _comment_end(raw: str, at: int) -> int:
    """Where a comment ends whose opening is before `at`; they nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(raw, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(raw)


def _joined(words: list[tuple[str, str]]) -> str:
    """One line, one space between words."""
    parts: list[str] = []
    for kind, text in words:
        if kind == "space":
            if parts and parts[-1] != " ":
                parts.append(" ")
        else:
            parts.append(text)
    return "".join(parts).strip().rstrip("; ")
