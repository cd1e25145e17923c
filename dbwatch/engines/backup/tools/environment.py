"""Owns which of this process's environment a tool gets to see, and what a file of its own adds.

Our own secrets (DATABASE_URL, PGPASSWORD, whatever a container was given) are none of a tool's business: names are let
through, nothing else is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dbwatch.errors import CheckError
from dbwatch.model import Reason
from dbwatch.secret import Secret

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_EVERYBODY = ("HOME", "USER", "LOGNAME", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_LARGEST_BYTES = 64 * 1024
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")


@dataclass(frozen=True, slots=True)
class Environment:
    """What a tool is given. `secrets` are the values that must not be printed, whoever prints them."""

    values: Mapping[str, str] = field(repr=False)
    secrets: tuple[Secret, ...] = ()


def environment_for(*prefixes: str, file: Path | None = None, own: Mapping[str, str] | None = None) -> Environment:
    """The allowed names, those that begin with a tool's own prefixes, and the lines of its file. Raises CheckError."""
    ours = os.environ if own is None else own
    values = {name: ours[name] for name in (*_EVERYBODY, *_PROXIES) if name in ours}
    given = {name: value for name, value in ours.items() if prefixes and name.startswith(prefixes)}
    if file is not None:
        given |= _lines(file)
    proxies = [values[name] for name in _PROXIES if name in values]
    secrets = tuple(Secret(value) for value in (*given.values(), *proxies) if _is_worth_hiding(value))
    # Messages are read by a program and shown to people of any language: English, and no escape codes.
    fixed = {"PATH": ours.get("PATH") or _PATH, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "NO_COLOR": "1", "TERM": "dumb"}
    return Environment({**values, **given, **fixed}, secrets)


def _is_worth_hiding(value: str) -> bool:
    """Not a number, a switch, a path or a plain URL, of which every message about the tool is full."""
    if len(value) < 6 or value.isdigit():
        return False
    return not value.startswith(("/", "file:")) and not re.fullmatch(r"[a-z0-9+]+://[^\s@?]*", value)


def _lines(file: Path) -> dict[str, str]:
    try:
        text = file.read_bytes()[:_LARGEST_BYTES].decode("utf-8", "replace")
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}"
        raise CheckError(Reason.ERROR, message, step="environment") from None
    found = {}
    for line in text.splitlines():
        if (match := _LINE.fullmatch(line)) and "\x00" not in line:
            found[match[1]] = _unquoted(match[2].strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
