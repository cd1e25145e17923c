"""Owns looking at the machine that runs the tests, and taking from it what a test needs: a mount, a control group."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import HostPlace, Target
from dbwatch.engines import Engines
from dbwatch.lanes import Lane
from dbwatch.model import Engine
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.checks.cases import CHECKS
from tests.harness.waiting import eventually


def host_checks(names: Sequence[str] = ()) -> list[Check]:
    """The bundled host checks of these names, or all."""
    paths = sorted((CHECKS / "host").glob("*.yaml"))
    return [load_check(path, Engine.HOST) for path in paths if not names or path.stem in names]


@contextmanager
def looking(place: HostPlace, *names: str) -> Iterator[Lane]:
    """A lane to a machine, with these checks or all."""
    with ExitStack() as stack:
        watchdog = Watchdog()
        stack.callback(watchdog.close)
        target = Target("box", Engine.HOST, place=place)
        lane = Lane(target, Engines().adapter(Engine.HOST), host_checks(names), Store(), watchdog)
        stack.callback(lane.close)
        yield lane


@contextmanager
def mounted(where: Path, *arguments: str) -> Iterator[Path]:
    """`mount … where`, and away again. Skips where this user or container may not."""
    where.mkdir()
    try:
        run = subprocess.run(["mount", *arguments, str(where)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("this machine has no mount")
    if run.returncode:
        pytest.skip(f"nothing may be mounted here: {run.stderr.strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=False)


class ControlGroup:
    """A control group of the test's own, in whichever version this machine has."""

    def __init__(self, name: str) -> None:
        mount = Path("/sys/fs/cgroup")
        self.name = name
        self.second = (mount / "cgroup.controllers").exists()
        self._folders = (
            [mount / name] if self.second else [mount / kind / name for kind in ("cpu", "memory", "cpuacct")]
        )

    def make(self) -> None:
        """Skips where this user or container may not."""
        try:
            for folder in self._folders:
                folder.mkdir()
            if self.second:
                needed = {"cpu", "memory"}
                if not needed <= set((self._folders[0] / "cgroup.controllers").read_text().split()):
                    pytest.skip("control groups may not limit CPU and memory here")
        except OSError as error:
            pytest.skip(f"no control group can be made here: {error}")

    def remove(self) -> None:
        for folder in self._folders:
            if folder.is_dir():
                eventually(partial(self._gone, folder))

    def limit(self, *, cpus: float, memory_bytes: int) -> None:
        """Skips where a limit is refused."""
        try:
            if self.second:
                self._write(self._folders[0] / "cpu.max", f"{round(cpus * 100_000)} 100000")
                self._write(self._folders[0] / "memory.max", str(memory_bytes))
                self._write(self._folders[0] / "memory.swap.max", "0")
            else:
                self._write(self._folders[0] / "cpu.cfs_period_us", "100000")
                self._write(self._folders[0] / "cpu.cfs_quota_us", str(round(cpus * 100_000)))
                self._write(self._folders[1] / "memory.limit_in_bytes", str(memory_bytes))
        except OSError as error:
            pytest.skip(f"a control group may not be limited here: {error}")

    @property
    def doors(self) -> tuple[str, ...]:
        """The files into which a process writes 0 to be in the group."""
        return tuple(str(folder / "cgroup.procs") for folder in self._folders)

    @staticmethod
    def _gone(folder: Path) -> bool:
        with suppress(OSError):  # it is busy while its last process dies
            folder.rmdir()
        return not folder.exists()

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
