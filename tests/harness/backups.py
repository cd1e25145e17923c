"""Owns running backup tools as the servers' user, whose files they read. Knows no tool."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.binaries import SYSTEM_PATH
from tests.harness.process import server_user


def own(path: Path) -> None:
    """Give a file or folder to the servers' user."""
    if (user := server_user()) and not path.is_symlink():
        shutil.chown(path, user=user)


def copy_owned(source: Path, place: Path, *, without: str = "") -> None:
    """Copy a folder for the servers' user, but for the folders of one name."""
    shutil.copytree(source, place, symlinks=True, ignore=shutil.ignore_patterns(without) if without else None)
    for path in (place, *place.rglob("*")):
        own(path)


def _environment() -> Mapping[str, str]:
    return {"PATH": os.pathsep.join(SYSTEM_PATH), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}


def _group() -> int | None:
    user = server_user()
    return pwd.getpwnam(user).pw_gid if user else None


def as_server_user(argv: Sequence[str | Path]) -> str:
    """Its standard output. RuntimeError with its words when it fails."""
    done = subprocess.run(
        [str(a) for a in argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        env=dict(_environment()),
        user=server_user(),
        group=_group(),
        extra_groups=[] if server_user() else None,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def popen_as_server_user(argv: Sequence[str | Path]) -> subprocess.Popen[bytes]:
    """Started, in a group of its own; its output is lost."""
    return subprocess.Popen(
        [str(a) for a in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=dict(_environment()),
        user=server_user(),
        group=_group(),
        extra_groups=[] if server_user() else None,
        start_new_session=True,
    )
