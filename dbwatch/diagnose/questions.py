"""Owns reading the questions out of a runbook: the indented statements and commands of its diagnosis. Pure.

A question is for dbwatch to ask when it is one statement that only reads, a redis-cli command that only looks, or a
SHOW of PgBouncer.
The rest (a shell, a placeholder that the person fills in) is for the person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dbwatch.catalogue import Check
from dbwatch.catalogue.shows import only_shows
from dbwatch.model import Engine

_INDENT: Final = "    "
_STATEMENT: Final = re.compile(r"(select|with|show|table|values|explain|begin)\b", re.IGNORECASE)
_ASKED: Final = re.compile(r"(select|with|show)\b", re.IGNORECASE)
_SHOW: Final = re.compile(r"show\s+([\w.]+)\s*;?$", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"<[a-z_ ]+>|…|\b(HOST|PORT|FILE|FOLDER|DIR|DBNAME|NAME)\b")
_SAMPLE: Final = re.compile(r"\b12345(?:67890)?\b|= '(?:app|schema|shop|table)'")
"""What stands in a runbook for a number or a name of the reader's: asked as it is, it would find nothing."""
_GREP: Final = re.compile(r"grep (?:-[iE]+ )?(?:'(?P<quoted>[^']+)'|(?P<plain>[\w-]+))")
_REDIS: Final = re.compile(r"redis-cli(?: -p \d+)?\s+((?:[A-Za-z][\w-]*|\d+)(?:\s+(?:[A-Za-z][\w-]*|\d+))*)")


@dataclass(frozen=True, slots=True)
class Question:
    """As it stands in the runbook, and what is to be sent; None when only a person can ask it.

    `only` is the pattern of a `grep` behind the command.
    """

    text: str
    sent: str | None
    only: re.Pattern[str] | None = None


def questions(check: Check) -> tuple[Question, ...]:
    """The questions of the check's diagnosis, in their order."""
    read = _READERS.get(check.engine)
    blocks = _blocks(check.runbook.diagnosis)
    if read is None:
        return tuple(Question(line, None) for block in blocks for line in block)
    return tuple(question for block in blocks for question in read(block))


def _blocks(text: str) -> Iterator[list[str]]:
    """The indented lines, those that follow each other together."""
    block: list[str] = []
    for line in text.splitlines():
        if line.startswith(_INDENT) and line.strip():
            block.append(line.removeprefix(_INDENT).rstrip())
        elif block:
            yield block
            block = []
    if block:
        yield block


def _of_postgres(block: list[str]) -> Iterator[Question]:
    """A statement goes on until the line that ends with its semicolon, a comment aside."""
    lines: list[str] = []
    for line in block:
        if not lines and not _STATEMENT.match(line):
            yield Question(line, None)
            continue
        lines.append(line)
        if line.partition(" -- ")[0].rstrip().endswith(";"):
            yield _statement("\n".join(lines))
            lines = []
    if lines:
        yield _statement("\n".join(lines))


def _statement(text: str) -> Question:
    bare = re.sub(r"\s--\s.*$", "", text, flags=re.MULTILINE).rstrip()
    if show := _SHOW.match(bare):
        return Question(text, f"select current_setting('{show[1]}') as \"{show[1]}\"")
    several = ";" in bare.removesuffix(";")
    of_a_person = _PLACEHOLDER.search(bare) or _SAMPLE.search(bare)
    asked = _ASKED.match(bare) and not several and not of_a_person
    return Question(text, bare.removesuffix(";").rstrip() if asked else None)


def _of_redis(block: list[str]) -> Iterator[Question]:
    for line in block:
        bare, _, rest = re.split(r"\s#", line, maxsplit=1)[0].rstrip().partition(" | ")
        command, grep = _REDIS.fullmatch(bare), _GREP.fullmatch(rest)
        asked = command is not None and not _PLACEHOLDER.search(bare) and (not rest or grep is not None)
        only = re.compile(grep["quoted"] or grep["plain"], re.IGNORECASE) if grep is not None else None
        yield Question(line, command[1] if command is not None and asked else None, only)


def _of_pgbouncer(block: list[str]) -> Iterator[Question]:
    for line in block:
        command = " ".join(line.rstrip("; ").upper().split())
        yield Question(line, command if only_shows(command) else None)


_READERS: Final[Mapping[Engine, Callable[[list[str]], Iterator[Question]]]] = {
    Engine.POSTGRES: _of_postgres,
    Engine.REDIS: _of_redis,
    Engine.PGBOUNCER: _of_pgbouncer,
}
