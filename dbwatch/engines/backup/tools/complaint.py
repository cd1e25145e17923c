"""Owns making one line for people of what a tool complained. Refuses to let a secret through.

Tools quote what they could not read: a line of a configuration file, a key of a repository, a URL. So what looks like
the value of a secret goes, and so does everything a parser quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dbwatch.secret import Secret, scrub

_MOST_CHARACTERS = 300
_MOST_READ = 1000
"""What follows is cut before it is searched: a line may be megabytes long."""
_TELLING = re.compile(r"\b(?:ERROR|FATAL|EXCEPTION|CRITICAL)\b")
_STAMP = re.compile(r"^(?:P\d\d\s+)?(?:\w+:\s+)?\d{4}[-/]\d\d[-/]\d\d[ T][\d:.,]+\s*(?:P\d\d\s+)?")
_NAMING = (
    r"(?:pass|secret|token|credential|cipher|pwd|signature|(?:api|access|account|private|master|storage|encryption|sodium|pgp)[-_]?key|key[-_]id)"
    r"[\w.-]{0,40}"
    r"|\bsas\b|\bsig\b"
)
_VALUE = r"(?:'[^'\n]*'?|\"[^\"\n]*\"?|\S+)"
_ASSIGNED = re.compile(rf"(?i)(['\"]?(?:{_NAMING})['\"]?\s*[=:]\s*){_VALUE}")
_QUOTED_CONTENT = re.compile(r"(?i)\b(at line \d+|invalid value)\b.*")
_PRIVATE_KEY = re.compile(r"-----BEGIN.*", re.DOTALL)


def complaint_of(said: bytes, secrets: Iterable[Secret] = ()) -> str:
    """The line that matters of what was said: the first that calls itself an error, else the first; "" for silence."""
    lines = [line.strip()[:_MOST_READ] for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return ""
    return clean(next((line for line in lines if _TELLING.search(line)), lines[0]), secrets)


def clean(text: str, secrets: Iterable[Secret] = ()) -> str:
    """The first line of a text, without secrets, control characters and stamps, and not too long."""
    first = next((line.strip()[:_MOST_READ] for line in text.splitlines() if line.strip()), "")
    first = "".join(character if character.isprintable() else " " for character in first)
    first = _STAMP.sub("", first)
    first = scrub(first, *secrets)
    first = _PRIVATE_KEY.sub("***", first)
    first = _QUOTED_CONTENT.sub(r"\1", first)
    first = _ASSIGNED.sub(r"\1***", first)
    return first if len(first) <= _MOST_CHARACTERS else f"{first[: _MOST_CHARACTERS - 1]}…"
