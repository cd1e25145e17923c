"""Owns setting the stage for a host case: a small /proc and /sys below a folder, a played kernel, time that jumps.

Between two looks the files are replaced by those of `later` and `passes` seconds go by, for the counters and for the
verdict alike, so that rates are what the case says they are.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from dbwatch.catalogue import Check
from dbwatch.config import HostPlace, Target
from dbwatch.engines.host.adapter import HostAdapter
from dbwatch.engines.host.kernel import KernelClock, Space
from dbwatch.errors import Skipped
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Outcome, Reason, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.checks.cases import Expect, HostCase, HostClock, HostScene, HostVolume
from tests.proof.capture import listen

GIB = 1024**3
HEALTHY: Mapping[str, str] = {
    "proc/uptime": "864000.00 1700000.00\n",
    "proc/sys/kernel/osrelease": "6.8.0-45-generic\n",
    "proc/loadavg": "0.90 0.80 0.70 1/400 12345\n",
    "proc/sys/fs/file-nr": "4000\t0\t1000000\n",
    "proc/meminfo": """\
MemTotal:       16777216 kB
MemFree:         2097152 kB
MemAvailable:    8388608 kB
Buffers:          102400 kB
Cached:          6291456 kB
Active:          4194304 kB
Inactive:        4194304 kB
SwapTotal:       2097152 kB
SwapFree:        2097152 kB
Shmem:           2097152 kB
Slab:             204800 kB
SReclaimable:     102400 kB
""",
    "proc/vmstat": "pswpin 0\npswpout 0\noom_kill 0\n",
    "proc/pressure/cpu": "some avg10=0.00 total=1000000\nfull avg10=0.00 total=0\n",
    "proc/pressure/memory": "some avg10=0.00 total=0\nfull avg10=0.00 total=0\n",
    "proc/pressure/io": "some avg10=0.00 total=5000\nfull avg10=0.00 total=4000\n",
    "proc/diskstats": "   8       0 sda 1000 0 8000 500 2000 0 16000 1000 0 900 1500 0 0 0 0 0 0\n",
    "proc/self/mountinfo": """\
22 1 8:0 / / rw,relatime - ext4 /dev/sda rw
30 22 0:25 / /dev/shm rw - tmpfs tmpfs rw
31 22 8:16 / /srv/back\\040up rw - xfs /dev/sdb rw,attr2
""",
    "sys/dev/block/8:0/uevent": "MAJOR=8\nMINOR=0\nDEVNAME=sda\n",
    "sys/dev/block/8:16/uevent": "MAJOR=8\nMINOR=16\nDEVNAME=sdb\n",
    "sys/fs/ext4/sda/errors_count": "0\n",
}
"""A machine with four cores and 16 GiB that has little to do."""
_GROUPS = "sys/fs/cgroup"


GROUP_FILES: Mapping[str, str] = {
    f"{_GROUPS}/cgroup.controllers": "cpu io memory\n",
    f"{_GROUPS}/db/memory.max": str(4 * GIB),
    f"{_GROUPS}/db/pg/memory.max": "max\n",
    f"{_GROUPS}/db/pg/memory.current": str(1 * GIB),
    f"{_GROUPS}/db/memory.current": str(2 * GIB),
    f"{_GROUPS}/db/memory.stat": f"anon {GIB}\ninactive_file {GIB // 2}\nactive_file {GIB // 4}\nslab_reclaimable 0\n",
    f"{_GROUPS}/db/pg/memory.events": "low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\n",
    f"{_GROUPS}/db/cpu.max": "max 100000\n",
    f"{_GROUPS}/db/pg/cpu.max": "200000 100000\n",
    f"{_GROUPS}/db/pg/cpu.stat": "usage_usec 5000000\nnr_periods 100\nnr_throttled 1\nthrottled_usec 10000\n",
}
"""A group of version 2: `db` may have 4 GiB, `db/pg` two cores."""


@contextmanager
def healthy_machine(root: Path, *volumes: str, files: Mapping[str, str] = HEALTHY) -> Iterator[None]:
    """A machine that is well below this folder, for whoever connects to it meanwhile by the usual adapter."""
    place = HostPlace(root, {name: Path("/") / name for name in volumes})
    kernel = PlayedKernel(_Time())
    play(
        HostScene(files=dict(files), cpu={"idle": 1000.0}, volumes=dict.fromkeys(volumes, HostVolume())), kernel, place
    )
    kernel.told = HostClock()
    with patch("dbwatch.engines.host.adapter.RealKernel", lambda: kernel):
        yield


@dataclass(slots=True)
class _Time:
    """Stands for the module `time` where a verdict is made, some seconds ahead."""

    ahead: float = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def time(self) -> float:
        return time.time() + self.ahead


@dataclass(slots=True)
class PlayedKernel:
    """Answers what the scene says; a volume that hangs does so until the stage is left."""

    clock_ahead: _Time
    volumes: dict[Path, HostVolume] = field(default_factory=dict)
    told: HostClock | None = None
    released: threading.Event = field(default_factory=threading.Event)

    def space(self, path: Path) -> Space:
        volume = self.volumes[path]
        if volume.hangs:
            self.released.wait()
        if volume.error is not None:
            number = getattr(errno, volume.error)
            raise OSError(number, os.strerror(number))
        return Space(
            volume.used,
            volume.size - volume.used - volume.reserved,
            volume.inodes_used,
            volume.inodes_free,
            volume.device,
        )

    def clock(self) -> KernelClock:
        if self.told is None:
            raise Skipped(Reason.PLATFORM, "this system has no adjtimex()", step="clock")
        return KernelClock(self.told.synchronised, self.told.offset_seconds, self.told.max_error_seconds)

    def monotonic(self) -> float:
        return self.clock_ahead.monotonic()


def run_case(check: Check, case: HostCase, folder: Path) -> tuple[Outcome, Expect]:
    """Play the machine, ask the check."""
    root = folder / "root"
    paths = {name: Path("/volumes") / name for name in case.volumes}
    place = HostPlace(root, paths, case.cgroup)
    target = Target(
        name="box", engine=Engine.HOST, place=place, thresholds={check.name: case.thresholds} if case.thresholds else {}
    )
    with _stage(case, root, place) as (kernel, clock):
        watchdog, store = Watchdog(), Store()
        listen(store)
        lane = Lane(target, HostAdapter(kernel=kernel), [check], store, watchdog)
        try:
            return _looked(lane, check, case, kernel, clock, place), case.expect
        finally:
            lane.close()
            watchdog.close()


def _looked(lane: Lane, check: Check, case: HostCase, kernel: PlayedKernel, clock: _Time, place: HostPlace) -> Outcome:
    looks = case.looks or (2 if check.sampled and case.sample else 1)
    for _ in range(looks - 1):
        first = lane.run(check.name)
        if first.status is Status.SKIPPED:
            return first
        clock.ahead += case.passes
        play(case.later, kernel, place)
    return lane.run(check.name, lifetime=not case.sample)


@contextmanager
def _stage(case: HostCase, root: Path, place: HostPlace) -> Iterator[tuple[PlayedKernel, _Time]]:
    clock = _Time()
    kernel = PlayedKernel(clock)
    play(HostScene(files={**HEALTHY, **(GROUP_FILES if case.cgroup else {})}, cpu={"idle": 1000.0}), kernel, place)
    play(case, kernel, place)
    try:
        with patch("dbwatch.runner.run.time", clock):
            yield kernel, clock
    finally:
        kernel.released.set()


def play(scene: HostScene, kernel: PlayedKernel, place: HostPlace) -> None:
    """Lay out the scene's files, over those that are there; None takes one away."""
    files = dict(scene.files)
    if scene.cpu is not None:
        files["proc/stat"] = _stat(scene.cpu)
    for name, text in files.items():
        path = place.root / name
        if text is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name, volume in scene.volumes.items():
        kernel.volumes[place.below(place.volumes[name])] = volume
    if scene.clock is not None:
        kernel.told = scene.clock


def _stat(seconds: Mapping[str, float]) -> str:
    """/proc/stat of four cores that share these seconds."""
    states = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    ticks = [round(seconds.get(state, 0.0) * os.sysconf("SC_CLK_TCK") / 4) for state in states]
    line = " ".join(map(str, [*ticks, 0, 0]))
    whole = " ".join(map(str, [*(4 * tick for tick in ticks), 0, 0]))
    return "\n".join([f"cpu  {whole}", *(f"cpu{core} {line}" for core in range(4)), "ctxt 1", ""])
