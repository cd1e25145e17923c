"""Owns the type of a secret and the scrubbing of texts. Knows nothing about where secrets come from."""

from __future__ import annotations

import json
import re
import threading
from typing import NoReturn

_MASK = "***"
_SHORTEST = 3
_REMEMBERED = 1000
_held: dict[str, None] = {}
_lock = threading.Lock()
_WORD = re.compile(r"\S+")
_USERINFO = re.compile(r"\w://[^\s:/@]*:")
_QUOTED = r"""'(?:[^'\\\n]|\\.)*(?:'|$)|"(?:[^"\\\n]|\\.)*(?:"|$)"""
_KEYWORD = re.compile(rf"(?im)(password|passphrase|passwd)(\s*=\s*)(?:{_QUOTED}|\S+)")
_QUOTED_KEYWORD = re.compile(rf"""(?im)(password|passphrase|passwd)(["']\s*:\s*)(?:{_QUOTED})""")


class Secret:
    """A text that cannot print itself. `reveal()` is the only way out and is used at connect only."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        _remember(text)

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def scrub(text: str, *secrets: Secret | None) -> str:
    """`text` without the secrets, however encoded or cut, and without any password of a URL or a key=value text.

    libpq quotes fragments of a malformed connection string, so every piece a parser could have cut is removed too.
    """
    for secret in secrets:
        plain = secret.reveal() if secret else ""
        if plain:
            text = _anyhow(plain).sub(_MASK, text)
    text = _WORD.sub(_without_url_password, text)
    text = _KEYWORD.sub(r"\1\2***", text)
    return _QUOTED_KEYWORD.sub(r"\1\2***", text)


def scrub_all(text: str) -> str:
    """`text` without any secret this process has held, the last thousand of them. For tracebacks: it is slow.

    A password of three plain letters is left: it would take the words of every text with it.
    """
    with _lock:
        known = [plain for plain in _held if len(plain) > _SHORTEST or not plain.isascii()]
    for plain in known:
        text = _anyhow(plain).sub(_MASK, text)
    return scrub(text)


def _remember(text: str) -> None:
    with _lock:
        _held.pop(text, None)
        _held[text] = None
        if len(_held) > _REMEMBERED:
            del _held[next(iter(_held))]


def _without_url_password(word: re.Match[str]) -> str:
    """A password in a URL may itself hold : / ? # and @, so it ends at the last @ of the word."""
    text = word[0]
    start, end = _USERINFO.search(text), text.rfind("@")
    return text if start is None or end < start.end() else f"{text[: start.end()]}{_MASK}{text[end:]}"


def _anyhow(plain: str) -> re.Pattern[str]:
    """Matches the secret and its longer pieces, with any of their characters percent-encoded or escaped."""
    cut = (piece for piece in re.split(r"""[@/#\s%?&:=+,;'"\\\[\]]""", plain) if len(piece) > _SHORTEST)
    pieces = sorted({plain, *cut}, key=len, reverse=True)
    return re.compile("|".join("".join(map(_spellings, piece)) for piece in pieces))


def _spellings(character: str) -> str:
    """A character as it is, as in a URL, as in a connection string, as in Python's repr and as in JSON."""
    encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    spellings = {character, repr(character)[1:-1], json.dumps(character)[1:-1], ascii(character)[1:-1]}
    if character in "'\"\\":
        spellings.add(f"\\{character}")
    if character == " ":
        spellings.add("+")
    ordered = sorted(map(re.escape, spellings), key=len, reverse=True)
    return f"(?:(?i:{encoded})|{'|'.join(ordered)})"
