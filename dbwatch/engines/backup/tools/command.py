"""Owns running one program to its end, within limits: time, output, environment. Knows no tool.

No shell: an argument list is run as it stands. A program that is late is ended with all it has started. One that cannot
be ended (it runs as another user, or its disk hangs) is remembered and not started a second time beside itself.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dbwatch.deadline import Deadline
from dbwatch.engines.backup.tools.complaint import complaint_of
from dbwatch.errors import CheckError
from dbwatch.model import Reason
from dbwatch.secret import Secret

MOST_BYTES = 16 * 1024**2
_MOST_COMPLAINT_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 0.5
_PAUSE_SECONDS = 0.01

_left_behind: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. `complaint` is what it said on stderr: the line that matters, without secrets."""

    code: int
    output: bytes
    complaint: str


def run(
    argv: Sequence[str],
    deadline: Deadline,
    environment: Mapping[str, str],
    *,
    secrets: Sequence[Secret] = (),
    most_bytes: int = MOST_BYTES,
) -> Ended:
    """Run it and wait for its end, whatever its exit code. Raises CheckError when it gives no whole answer."""
    name = Path(argv[0]).name
    _refuse_second(tuple(argv), name)
    process = _started(argv, environment, name)
    said, complained = _Stream(most_bytes), _Stream(_MOST_COMPLAINT_BYTES, keeps_reading=True)
    try:
        in_time = _listen(process, {process.stdout: said, process.stderr: complained}, deadline)
    finally:
        ended = _ended(process, tuple(argv))
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    if said.overflown:
        message = f"{name} printed more than {most_bytes >> 20} MiB and was ended"
        raise CheckError(Reason.BAD_RESULT, message, step="run")
    if not in_time:
        fate = "was ended" if ended else "could not be ended, it runs as another user or waits for a disk"
        message = f"{name} did not answer in time and {fate}; does its repository answer?"
        raise CheckError(Reason.TIMEOUT, message, step="run")
    return Ended(process.returncode, bytes(said.content), complaint_of(bytes(complained.content), secrets))


class _Stream:
    """What a program wrote to one of its outputs, up to a limit. Past it, stop reading, or read on and forget."""

    def __init__(self, most_bytes: int, *, keeps_reading: bool = False) -> None:
        self.content = bytearray()
        self.overflown = False
        self._most = most_bytes
        self._keeps_reading = keeps_reading

    def take(self, chunk: bytes) -> None:
        room = self._most - len(self.content)
        self.content += chunk[:room]
        self.overflown = self.overflown or (len(chunk) > room and not self._keeps_reading)


def _started(argv: Sequence[str], environment: Mapping[str, str], name: str) -> subprocess.Popen[bytes]:
    program = shutil.which(argv[0], path=environment.get("PATH"))
    if program is None:
        message = f"there is no program {argv[0]} that this user may run"
        remedy = "install it beside dbwatch, or name it in `command:` with its whole path"
        raise CheckError(Reason.ERROR, message, step="run", remedy=remedy)
    try:
        return subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd="/",
            start_new_session=True,  # a group of its own, which can be ended whole
        )
    except PermissionError:
        raise CheckError(Reason.PRIVILEGE, f"this user may not run {program}", step="run") from None
    except OSError as error:
        raise CheckError(Reason.RESOURCES, f"{name} could not be started: {error.strerror}", step="run") from None


def _listen(process: subprocess.Popen[bytes], streams: Mapping[IO[bytes] | None, _Stream], deadline: Deadline) -> bool:
    """Collect what it says until it ends, floods or is late. Whether it ended in time.

    A child it left behind may keep its outputs open, so its own end counts as well as theirs.
    """
    with selectors.DefaultSelector() as selector:
        for stream, collected in streams.items():
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, collected)
        while selector.get_map():
            had_ended = _has_ended(process)
            ready = selector.select(0 if had_ended else min(_LOOK_SECONDS, deadline.remaining))
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK_BYTES)
                key.data.take(chunk)
                if key.data.overflown:
                    return True
                if not chunk:
                    selector.unregister(key.fileobj)
            if had_ended and not ready:
                return True
            if deadline.passed and not _has_ended(process):
                return False
    return _ends_by(process, deadline)


def _ended(process: subprocess.Popen[bytes], argv: tuple[str, ...]) -> bool:
    """End it and everything in its group. Whether it is gone; else it is remembered."""
    if not _has_ended(process):
        for how in (signal.SIGTERM, signal.SIGKILL):
            _tell_group(process, how)
            if _ends_by(process, Deadline.after(_GRACE_SECONDS)):
                break
    _tell_group(process, signal.SIGKILL)  # what it has left behind
    if _has_ended(process):
        process.wait()
        return True
    with _lock:
        _left_behind[argv] = process
    return False


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Without taking note of it: until then nobody else is given its number, and its group may be told to end."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ends_by(process: subprocess.Popen[bytes], deadline: Deadline) -> bool:
    while not (has_ended := _has_ended(process)) and not deadline.passed:
        time.sleep(min(_PAUSE_SECONDS, deadline.remaining))
    return has_ended


def _tell_group(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, how)


def _refuse_second(argv: tuple[str, ...], name: str) -> None:
    with _lock:
        earlier = _left_behind.get(argv)
        if earlier is None:
            return
        if earlier.poll() is None:
            message = f"{name} of an earlier look still runs (process {earlier.pid}) and is not started again"
            raise CheckError(Reason.RESOURCES, message, step="run")
        del _left_behind[argv]
