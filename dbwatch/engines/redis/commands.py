"""Owns how a command becomes words and a reply becomes named fields. Knows no connection.

What `catalogue.commands` does not list is refused before it reaches a server, whoever wrote the check file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from dbwatch.catalogue.commands import ALLOWED, FOR_PROBES, KNOWN_COMMANDS, SETTINGS_READ, only_looks
from dbwatch.errors import CheckError
from dbwatch.model import Reason

Fields: TypeAlias = Mapping[str, str]


def acl_name(command: str) -> str:
    """`slowlog|len` of SLOWLOG LEN: how an ACL calls it."""
    return "|".join(command.lower().split()[:2])


_SHOW_DATA: Final = frozenset({"CLIENT LIST", "COMMANDLOG GET", "MEMORY USAGE", "SCAN", "SLOWLOG GET"})
"""Their answers hold keys, values or addresses of users."""
PRIVILEGES: Final = frozenset(acl_name(command) for command in ALLOWED | FOR_PROBES)


def words_of(command: str, *arguments: str) -> tuple[str, ...]:
    """The command as it is sent. Raises CheckError when it is not one that only looks."""
    if not arguments and only_looks(command):
        return tuple(command.split())
    if command == "CONFIG GET":
        if arguments and set(arguments) <= SETTINGS_READ:
            return ("CONFIG", "GET", *arguments)
    elif command in ALLOWED | FOR_PROBES:
        return (*command.split(), *arguments)
    raise CheckError(Reason.ERROR, f"dbwatch does not send {command}; a check may use {KNOWN_COMMANDS}", step="command")


def split_command(text: str) -> tuple[str, tuple[str, ...]]:
    """Command and arguments of `CONFIG GET save`. Raises CheckError when the answer is not for everybody's eyes."""
    words = text.split()
    for length in (2, 1):
        command, arguments = " ".join(words[:length]).upper(), tuple(words[length:])
        readable = command != "CONFIG GET" or set(arguments) <= SETTINGS_READ
        if readable and command in (ALLOWED | FOR_PROBES) - _SHOW_DATA:
            return command, arguments
    raise CheckError(Reason.ERROR, f"dbwatch does not send {text} by itself: it is for redis-cli", step="command")


def acl_rule(command: str) -> str:
    """`+slowlog|len` of SLOWLOG LEN: what `ACL SETUSER` takes."""
    return f"+{acl_name(command)}"


def lines_of(reply: object) -> tuple[str, ...]:
    """A reply for a person: a line of text, or of a list, each; pairs and lists of one level stand on a line."""
    if isinstance(reply, Mapping):
        return tuple(f"{name}: {value}" for name, value in reply.items())
    if isinstance(reply, Sequence) and not isinstance(reply, str):
        return tuple(" ".join(map(str, part)) if isinstance(part, list) else str(part) for part in reply)
    return tuple(line for line in str(reply).splitlines() if line.strip())


def fields_of(reply: object) -> Fields:
    """The reply by name: `key:value` lines, `key=value` words, or a flat list of pairs; a lone value is `value`.

    A value made of pairs is also there piece by piece: `slave0` is joined by `slave0.lag`, `errorstat_OOM` by
    `errorstat_OOM.count`.
    """
    if isinstance(reply, str):
        return _of_text(reply)
    if isinstance(reply, int):
        return {"value": str(reply)}
    if isinstance(reply, Sequence) and len(reply) % 2 == 0:
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return {str(name): str(value) for name, value in pairs if isinstance(value, str | int | float)}
    raise CheckError(
        Reason.BAD_RESULT, f"the reply is a {type(reply).__name__}, which has no named fields", step="result"
    )


def _of_text(text: str) -> Fields:
    found: dict[str, str] = {}
    lines = text.splitlines()
    if len(lines) == 1 and ":" not in lines[0].partition("=")[0]:
        return _pairs(lines[0], " ") or {"value": lines[0]}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or line.startswith("#"):
            continue
        found[name] = value
        for piece, content in _pairs(value, ",").items():
            found[f"{name}.{piece}"] = content
    return found


def _pairs(text: str, separator: str) -> dict[str, str]:
    """`a=1,b=2` as a mapping; empty when the text is anything else."""
    pairs = [piece.partition("=") for piece in text.strip().split(separator)]
    if not all(equals and name.replace("-", "_").isidentifier() for name, equals, _ in pairs):
        return {}
    return {name: value for name, _, value in pairs}
