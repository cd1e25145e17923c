"""Where servers keep their files: in memory where there is plenty, else in the temporary folder. Knows no server.

CREATE DATABASE makes three hundred files: a quarter of a second on a slow disk, ten milliseconds in memory, and the
tests make thousands of databases. TMPDIR, when it is set, is obeyed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

_MEMORY = Path("/dev/shm")
_PLENTY = 10 * 1024**3
_LIMIT = Path("/sys/fs/cgroup/memory.max")


@cache
def workplace() -> Path:
    """The folder below which server folders are made."""
    chosen = Path(tempfile.gettempdir())
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return chosen
    free = min(shutil.disk_usage(_MEMORY).free, _available(), _allowed())
    return _MEMORY if free >= _PLENTY else chosen


def _available() -> int:
    """Memory that the kernel would give us without swapping."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _allowed() -> int:
    """What the control group allows; files in memory count against it."""
    try:
        text = _LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        return _PLENTY
    return int(text) if text.isdigit() else _PLENTY
