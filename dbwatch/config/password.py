"""Owns where a password comes from. It is read anew at every connect, so that rotation needs no restart."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dbwatch.errors import TargetError
from dbwatch.model import Reason
from dbwatch.secret import Secret

_COMMAND_TIMEOUT_SECONDS = 10.0
_LARGEST_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """Exactly one of the four is set."""

    literal: Secret | None = None
    file: Path | None = None
    env: str | None = None
    command: tuple[str, ...] | None = None

    def read(self) -> Secret:
        """The password as it is now. Raises TargetError(auth) naming the source, never its content."""
        if self.literal is not None:
            return self.literal
        if self.env is not None:
            value = os.environ.get(self.env)
            if value is None:
                raise TargetError(Reason.AUTH, "password", f"the environment variable {self.env} is not set")
            return Secret(value)
        if self.file is not None:
            return _from_file(self.file)
        return _from_command(self.command or ())

    def readable_by_others(self) -> bool:
        """True when the password's file can be read by any user of the machine."""
        if self.file is None:
            return False
        try:
            return bool(self.file.stat().st_mode & stat.S_IROTH)
        except OSError:
            return False


def _from_file(path: Path) -> Secret:
    try:
        with path.open("rb") as stream:
            text = stream.read(_LARGEST_FILE).decode()
    except OSError as error:
        raise TargetError(
            Reason.AUTH, "password", f"the password file {path} cannot be read: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise TargetError(Reason.AUTH, "password", f"the password file {path} is not UTF-8") from None
    return Secret(text.rstrip("\r\n"))


def _from_command(command: tuple[str, ...]) -> Secret:
    name = shlex.quote(command[0]) if command else "the password command"
    try:
        done = subprocess.run(command, capture_output=True, timeout=_COMMAND_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        limit = f"{_COMMAND_TIMEOUT_SECONDS:.0f} s"
        raise TargetError(Reason.AUTH, "password", f"the password command {name} took longer than {limit}") from None
    except OSError as error:
        message = f"the password command {name} cannot be run: {error.strerror}"
        raise TargetError(Reason.AUTH, "password", message) from None
    if done.returncode != 0:
        raise TargetError(Reason.AUTH, "password", f"the password command {name} exited with {done.returncode}")
    return Secret(done.stdout.decode(errors="replace").rstrip("\r\n"))
