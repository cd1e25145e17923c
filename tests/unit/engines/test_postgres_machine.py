"""Whose memory it is: only a process that serves our very session proves that the server runs on our machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbwatch.engines.postgres.machine import Backend, UnknownMachineError, local_cpus, local_memory_bytes

GIB = 2.0**30
BACKEND = Backend(4711, "dbwatch", 'case "1"', 50123)
TITLE = 'postgres: dbwatch case "1" 127.0.0.1(50123) SELECT'


class Root:
    """A machine of 16 GiB as its files tell it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n")
        self.write("proc/4711/cmdline", TITLE + "\0" * 20)
        self.write("proc/4711/cgroup", "0::/\n")
        self.write("sys/fs/cgroup/cgroup.procs", "")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def memory(self, backend: Backend = BACKEND) -> float:
        return local_memory_bytes(backend, self.folder)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def test_the_machine_itself(root: Root) -> None:
    assert root.memory() == 16 * GIB


@pytest.mark.parametrize(
    "title",
    [
        'postgres: dbwatch case "1" 127.0.0.1(50124) SELECT',
        'postgres: other case "1" 127.0.0.1(50123) SELECT',
        "postgres: checkpointer",
        'grep dbwatch case "1" 127.0.0.1(50123)',
        "",
    ],
)
def test_a_process_that_only_has_the_same_number_is_no_proof(root: Root, title: str) -> None:
    root.write("proc/4711/cmdline", title + "\0")
    with pytest.raises(UnknownMachineError, match="another machine"):
        root.memory()


def test_no_such_process(root: Root) -> None:
    with pytest.raises(UnknownMachineError, match="another machine"):
        root.memory(Backend(4712, "dbwatch", 'case "1"', 50123))


def test_a_socket_has_no_port(root: Root) -> None:
    root.write("proc/4711/cmdline", "postgres: main: dbwatch shop [local] SELECT\0")
    assert root.memory(Backend(4711, "dbwatch", "shop", None)) == 16 * GIB


def test_the_limit_of_a_group_above_counts(root: Root) -> None:
    root.write("proc/4711/cgroup", "0::/system.slice/postgresql.service\n")
    root.write("sys/fs/cgroup/system.slice/memory.max", f"{8 * 2**30}\n")
    root.write("sys/fs/cgroup/system.slice/postgresql.service/memory.max", "max\n")
    assert root.memory() == 8 * GIB


def test_inside_a_container_the_group_is_the_mount(root: Root) -> None:
    root.write("sys/fs/cgroup/memory.max", f"{2 * 2**30}\n")
    assert root.memory() == 2 * GIB


def test_groups_of_version_1(root: Root) -> None:
    root.write("proc/4711/cgroup", "12:cpu,cpuacct:/a\n4:memory:/docker/abc\n0::/x\n")
    root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    root.write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", f"{4 * 2**30}\n")
    assert root.memory() == 4 * GIB


def test_a_container_beside_ours_has_a_limit_we_cannot_see(root: Root) -> None:
    root.write("proc/4711/cgroup", "0::/../cri-containerd-abc.scope\n")
    with pytest.raises(UnknownMachineError, match="beside this one"):
        root.memory()


def test_limits_that_cannot_be_read_are_not_taken_for_none(root: Root) -> None:
    (root.folder / "sys/fs/cgroup/cgroup.procs").unlink()
    (root.folder / "sys/fs/cgroup").rmdir()
    with pytest.raises(UnknownMachineError, match="cannot be read"):
        root.memory()


def _cpus(root: Root) -> float:
    root.write("sys/devices/system/cpu/online", "0-5,8,10-11\n")
    return local_cpus(BACKEND, root.folder)


def test_the_cores_are_those_that_are_online(root: Root) -> None:
    assert _cpus(root) == 9


def test_a_quota_of_any_group_above_leaves_fewer(root: Root) -> None:
    root.write("proc/4711/cgroup", "0::/pods/db\n")
    root.write("sys/fs/cgroup/pods/cpu.max", "250000 100000\n")
    root.write("sys/fs/cgroup/pods/db/cpu.max", "max 100000\n")
    assert _cpus(root) == 2.5


def test_the_quota_of_the_first_version_of_groups(root: Root) -> None:
    root.write("proc/4711/cgroup", "4:cpu,cpuacct:/db\n1:name=systemd:/\n")
    root.write("sys/fs/cgroup/cpu/db/cpu.cfs_quota_us", "150000\n")
    root.write("sys/fs/cgroup/cpu/db/cpu.cfs_period_us", "100000\n")
    assert _cpus(root) == 1.5
    root.write("sys/fs/cgroup/cpu/db/cpu.cfs_quota_us", "-1\n")
    assert _cpus(root) == 9


def test_the_cores_of_another_machine_are_not_known(root: Root) -> None:
    root.write("proc/4711/cmdline", "postgres: other\0")
    with pytest.raises(UnknownMachineError, match="another machine"):
        _cpus(root)


def test_cores_that_nothing_tells(root: Root) -> None:
    with pytest.raises(UnknownMachineError, match="cores"):
        local_cpus(BACKEND, root.folder)
