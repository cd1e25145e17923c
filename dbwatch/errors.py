"""Owns the error tree; every leaf is a decision. Knows no driver and no module of ours but `model`.

DbwatchError                 exit 3
├─ ConfigError               exit 3, carries every Problem at once
├─ TargetError               becomes an Outcome, never leaves a lane; reconnect with backoff
└─ CheckError                becomes an Outcome; the session may live on
   ├─ Skipped                the check does not apply here: not a failure
   └─ ConnectionLost         discard the session, reconnect at the next run
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbwatch.model import Reason


class DbwatchError(Exception):
    """Something stopped dbwatch from answering."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one place of an input, and what to do about it."""

    file: str
    line: int | None
    path: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        text = f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(DbwatchError):
    """The configuration or a check file cannot be used; says every problem, not the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def of(cls, file: str, message: str, *, path: str = "", hint: str | None = None) -> ConfigError:
        return cls([Problem(file, None, path, message, hint)])


class TargetError(DbwatchError):
    """The server could not be reached; `phase` is the step that ended the attempt."""

    def __init__(self, reason: Reason, phase: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.phase = phase


class CheckError(DbwatchError):
    """The check ran and gave no answer. `remedy` says what would change that, where the engine cannot know."""

    def __init__(self, reason: Reason, message: str, *, step: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.step = step
        self.remedy = remedy


class Skipped(CheckError):
    """The question does not apply to this server, or this role may not ask it."""


class ConnectionLost(CheckError):
    """The session died under the check."""
