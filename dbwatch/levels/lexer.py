"""Owns the words of a level: text in, tokens with offsets out.

Refuses to know grammar and columns. Most of its size is hints: people arrive with the habits of SQL,
Python and PromQL, and a level is read at two in the morning by someone else.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from dbwatch.levels.errors import LevelError
from dbwatch.units import BYTE_UNITS, TIME_UNITS

MAX_TEXT: Final = 2_000
KEYWORDS: Final = frozenset({"and", "or", "not", "in", "true", "false"})
UNITS: Final = (*BYTE_UNITS, *TIME_UNITS, "%")

_SPACE: Final = re.compile(r"[ \t\r\n]+", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+(?:_[0-9]+)*(?:\.[0-9]+(?:_[0-9]+)*)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_ATTACHED: Final = re.compile(r"%|[\w.]+")
_WORD: Final = re.compile(r"\w+")
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_TEXT: Final = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")
_SYMBOL: Final = re.compile(r">=|<=|==|!=|<(?!>)|[>+\-*/(),]")
_HABITS: Final = (
    ("<>", "write != for 'not equal'"),
    ("=~", "there is no pattern match: list the texts with in (…)"),
    ("=", "write == to compare"),
    ("&&", "write 'and'"),
    ("||", "write 'or'"),
    ("!", "write 'not'"),
    ("%", "write the unit without a space, like 90%"),
    (";", "a level is one condition, without an end mark"),
    (".", "numbers start with a digit, like 0.5"),
    ("[", "lists are in parentheses, like in ('a', 'b'); windows are not written"),
    ("‘", "use plain quotes, ' or \""),
    ("“", "use plain quotes, ' or \""),
    ("≥", "write >="),
    ("≤", "write <="),
    ("≠", "write !="),
)


class TokenKind(Enum):
    """Classes of tokens; symbols and keywords are told apart by their text."""

    NUMBER = auto()
    TEXT = auto()
    NAME = auto()
    KEYWORD = auto()
    SYMBOL = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is the content: the name, the symbol, the unquoted string, the unit of a number."""

    kind: TokenKind
    text: str
    offset: int
    number: float = 0.0

    def is_symbol(self, *texts: str) -> bool:
        return self.kind is TokenKind.SYMBOL and self.text in texts

    def is_keyword(self, *texts: str) -> bool:
        return self.kind is TokenKind.KEYWORD and self.text in texts

    def __str__(self) -> str:
        return "the end" if self.kind is TokenKind.END else repr(self.text or self.number)


def tokenize(text: str) -> list[Token]:
    """All tokens of the text, END last; LevelError at the first thing that is none."""
    if len(text) > MAX_TEXT:
        raise LevelError(f"the text is {len(text)} characters long, the limit is {MAX_TEXT}", MAX_TEXT)
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        if space := _SPACE.match(text, position):
            position = space.end()
            continue
        token, position = _token(text, position)
        tokens.append(token)
    tokens.append(Token(TokenKind.END, "", len(text)))
    return tokens


def _token(text: str, at: int) -> tuple[Token, int]:
    if found := _NUMBER.match(text, at):
        return _number(text, found)
    if symbol := _SYMBOL.match(text, at):
        return Token(TokenKind.SYMBOL, symbol[0], at), symbol.end()
    if word := _WORD.match(text, at):
        return _word(word[0], at), word.end()
    if text[at] in "'\"":
        return _quoted(text, at)
    for habit, hint in _HABITS:
        if text.startswith(habit, at):
            raise LevelError(f"{habit!r} is not part of the language: {hint}", at)
    raise LevelError(f"{text[at]!r} is not part of the language", at)


def _number(text: str, found: re.Match[str]) -> tuple[Token, int]:
    unit, end = "", found.end()
    if attached := _ATTACHED.match(text, end):
        unit, end = attached[0], attached.end()
    if unit and unit not in UNITS:
        raise LevelError(f"{unit!r} is not a unit{_nearest_unit(unit)}", found.end())
    number = float(found[0].replace("_", ""))
    if not math.isfinite(number) or not math.isfinite(number * 2.0**40):
        raise LevelError("the number is too large", found.start())
    return Token(TokenKind.NUMBER, unit, found.start(), number), end


def _nearest_unit(unit: str) -> str:
    same_letters = [known for known in UNITS if known.lower() == unit.lower()]
    near = same_letters or {"K": ["KiB"], "M": ["MiB"], "G": ["GiB"], "T": ["TiB"]}.get(unit.upper(), [])
    near = near or difflib.get_close_matches(unit, UNITS, n=1, cutoff=0.5)
    return f": did you mean {near[0]}?" if near else f": use one of {' '.join(UNITS)}"


def _word(word: str, at: int) -> Token:
    if word in KEYWORDS:
        return Token(TokenKind.KEYWORD, word, at)
    if _NAME.fullmatch(word):
        return Token(TokenKind.NAME, word, at)
    if word.lower() in KEYWORDS:
        raise LevelError(f"write {word.lower()!r} in lower case", at)
    if word in UNITS:
        raise LevelError(f"the unit {word} stands right after its number, like 100{word}", at)
    raise LevelError(f"{word!r} is not a column name: they have lower-case letters, digits and _", at)


def _quoted(text: str, at: int) -> tuple[Token, int]:
    found = _TEXT.match(text, at)
    if found is None:
        raise LevelError("the quoted text has no end", at)
    quote = text[at]
    content = found[0][1:-1].replace(quote * 2, quote)
    try:
        content.encode()
    except UnicodeEncodeError:
        raise LevelError("the quoted text holds a broken character", at) from None
    return Token(TokenKind.TEXT, content, at), found.end()
