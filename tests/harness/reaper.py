"""The guardian process: ends servers and removes directories when the test process is gone, however it went.

The test process holds the writing end of a pipe. Lines `+ pid started`, `- pid`, `dir path`, `forget path`
keep the guardian's list; end of file (even after SIGKILL of pytest) makes it end everything on the list.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from tests.harness.proctree import end_tree, stat

ROOT = Path(__file__).resolve().parents[2]


class Reaper:
    """The test process's side of the pipe. The guardian is started at the first word to it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.harness.reaper"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    cwd="/",
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    start_new_session=True,  # Ctrl-C is for pytest
                )
                atexit.register(self.close)
            pipe = self._process.stdin
            if pipe is None:
                raise RuntimeError("the guardian has no pipe")
            pipe.write(line + "\n")
            pipe.flush()

    def watch(self, pid: int) -> int:
        """Put a child of ours on the list. Answers the moment it began, which with the pid names it for good."""
        found = stat(pid)
        if found is None:
            raise RuntimeError(f"no process {pid} to watch")
        self._tell(f"+ {pid} {found.started}")
        return found.started

    def release(self, pid: int) -> None:
        self._tell(f"- {pid}")

    def watch_dir(self, path: Path) -> None:
        self._tell(f"dir {path}")

    def forget_dir(self, path: Path) -> None:
        self._tell(f"forget {path}")

    def close(self) -> None:
        """End everything still on the list, now. A later word starts a new guardian."""
        with self._lock:
            if self._process is not None:
                self._process.communicate(timeout=60)
                self._process = None


def guard(lines: IO[str]) -> None:
    """Keep the list until the pipe ends, then end what is on it, the youngest server first."""
    processes: dict[int, int] = {}
    directories: dict[str, None] = {}
    for line in lines:
        verb, _, rest = line.rstrip("\n").partition(" ")
        if verb == "+":
            pid, started = rest.split()
            processes[int(pid)] = int(started)
        elif verb == "-":
            processes.pop(int(rest), None)
        elif verb == "dir":
            directories[rest] = None
        elif verb == "forget":
            directories.pop(rest, None)
    for server, since in reversed(processes.items()):
        end_tree(server, started=since, first=signal.SIGQUIT)
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)


reaper = Reaper()

if __name__ == "__main__":
    guard(sys.stdin)
