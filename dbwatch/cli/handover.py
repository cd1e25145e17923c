"""Owns making way for the daemon: the process executes itself anew with what it has read. Knows no option.

Reading the command line takes typer, reading the configuration pydantic and YAML, and a process never gives back what
it has imported: 15 MB, a fifth of the daemon. Afterwards the process has the number, parent, name and command line that
it had.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from dbwatch.cli import HANDED_OVER
from dbwatch.config.aside import Answer, Source, pickled
from dbwatch.config.shard import Shard


@dataclass(frozen=True, slots=True)
class Serving:
    """What the daemon was told to do, and what its configuration said at that moment."""

    source: Source
    answer: Answer
    host: str
    port: int
    web_config: Path | None
    enable_reload: bool
    shard: Shard | None
    log_level: str
    log_format: str


_FILE: Final = "dbwatch-serving"
_NAME: Final = Path("/proc/self/comm")
"""What `ps` and `pgrep` call a process; to execute an interpreter makes it that of the interpreter."""


def begin_again(serving: Serving) -> None:
    """Execute ourselves anew. Returns only by an OSError, where that is not allowed."""
    if not hasattr(os, "memfd_create"):
        raise OSError("there are no anonymous files here")
    with os.fdopen(os.memfd_create(_FILE, 0), "w+b") as stream:
        stream.write(pickled((serving, _NAME.read_bytes())))
        stream.seek(0)
        own, whole = sys.argv[1:], sys.orig_argv
        # A fork of a process that was started as something else has that command line.
        arguments = whole[1:] if whole[-len(own) :] == own else ["-m", "dbwatch", *own]
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, HANDED_OVER: str(stream.fileno())})  # noqa: S606


def is_handed_over() -> bool:
    """Whether there is something to be found. Without it, the variable was copied from the environment of a daemon."""
    try:
        file = Path(f"/proc/self/fd/{int(os.environ[HANDED_OVER])}").readlink()
    except (KeyError, ValueError, OSError):
        return False
    return str(file).startswith(f"/memfd:{_FILE}")


def handed_over() -> Serving:
    """What this process read before it began again; nothing it starts sees a trace of that."""
    with os.fdopen(int(os.environ.pop(HANDED_OVER)), "rb") as stream:
        serving, name = cast("tuple[Serving, bytes]", pickle.load(stream))  # noqa: S301 - written by this process
    with contextlib.suppress(OSError):
        _NAME.write_bytes(name)
    return serving
