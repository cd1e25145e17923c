"""Owns what asking any backup tool has in common: command, environment, failure, output recorded elsewhere."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from dbwatch.deadline import Deadline
from dbwatch.engines.aside import Aside, CrowdedError, UnfinishedError
from dbwatch.engines.backup.tools.command import MOST_BYTES, Ended, run
from dbwatch.engines.backup.tools.complaint import clean
from dbwatch.engines.backup.tools.environment import environment_for
from dbwatch.errors import CheckError
from dbwatch.model import Reason

_readings = Aside("dbwatch-recorded")


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as its owner configured it. `command` is the program and whatever has to stand before its arguments.

    `user` is whose it usually is.

    It runs as the user dbwatch runs as; who wants another says so in the command (`sudo -n -u postgres pgbackrest`).
    Root is left to the tools: what is asked leaves no file of root's behind. pgBackRest's `info` writes none, and since
    2.60 it refuses root; Barman, whose `check` makes folders that lack, becomes its own user first.
    """

    name: str
    command: tuple[str, ...]
    prefixes: tuple[str, ...] = ()
    env_file: Path | None = None
    user: str = "postgres"

    def ask(self, arguments: Sequence[str], deadline: Deadline) -> Ended:
        """Run it. Raises CheckError when it gives no whole answer; an exit code that is not 0 is an answer."""
        environment = environment_for(*self.prefixes, file=self.env_file)
        argv = (*self.command, *arguments)
        return run(argv, deadline, environment.values, secrets=environment.secrets)

    def shown(self, arguments: Sequence[str]) -> str:
        """The command for a person to paste, without secrets."""
        return clean(shlex.join((*self.command, *arguments)))

    def refuse(self, ended: Ended) -> NoReturn:
        """What is left to say about an answer that is none."""
        how = f"ended with {ended.code}" if ended.code >= 0 else f"was ended by signal {-ended.code}"
        said = f": {ended.complaint}" if ended.complaint else " and said nothing"
        remedy = self._remedy(ended.complaint.lower())
        reason = Reason.PRIVILEGE if remedy else Reason.ERROR
        raise CheckError(reason, f"{self.name} {how}{said}", step="run", remedy=remedy)

    def _remedy(self, complaint: str) -> str | None:
        if "root user" in complaint:
            return f"run it as its own user: command: [runuser, -u, {self.user}, --, {self.name}]"
        if "permission denied" in complaint:
            another = f"command: [sudo, -n, -u, {self.user}, {self.name}]"
            return f"let the user dbwatch runs as read it, or name another: {another}"
        return None


def read_recorded(file: Path, deadline: Deadline) -> tuple[bytes, float]:
    """Output that was recorded elsewhere, and when. Raises CheckError."""
    try:
        return _readings.within(deadline, file, partial(_content, file))
    except OSError as error:
        raise CheckError(Reason.ERROR, f"{file} cannot be read: {error.strerror}", step="read") from None
    except UnfinishedError:
        message = f"{file} did not answer in time; does its disk or network share hang?"
        raise CheckError(Reason.TIMEOUT, message, step="read") from None
    except CrowdedError:
        raise CheckError(Reason.RESOURCES, "too many files hang already", step="read") from None


def _content(file: Path) -> tuple[bytes, float]:
    # A pipe put in the file's place must not block the open.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise CheckError(Reason.BAD_RESULT, f"{file} is larger than {MOST_BYTES >> 20} MiB", step="read")
        return content, os.fstat(stream.fileno()).st_mtime
