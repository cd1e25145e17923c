"""Owns what a problem of the web-config file may say: never a key, a hash, or what stands in their place."""

from __future__ import annotations

import re
from typing import Final

from dbwatch.errors import Problem

_QUOTED: Final = re.compile(r"'(?!<)[^']{2,}'")
# What the YAML reader says without repeating the value.
_SAYABLE: Final = (
    "cannot be read: ",
    "holds an escape",
    "is given twice",
    "is nested",
    "uses a list",
    "uses a merge key",
    "uses an alias",
    "uses an anchor",
)


def discreet(problem: Problem) -> Problem:
    """A problem of the YAML reader, which quotes what it does not like."""
    message = _QUOTED.sub("'…'", problem.message)
    if problem.path and not message.startswith(_SAYABLE):
        message = "is read differently by different YAML readers"
    return nameless(Problem(problem.file, problem.line, problem.path, message, problem.hint))


def nameless(problem: Problem) -> Problem:
    """A hash that stands where a name should is still a hash."""
    if "$" not in problem.path:
        return problem
    path = f"{problem.path.partition('$')[0]}***"
    return Problem(problem.file, problem.line, path, problem.message, problem.hint)
