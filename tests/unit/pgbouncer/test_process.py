"""Finding the PgBouncer that answers us among the processes of this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbwatch.engines.pgbouncer.process import process_behind
from dbwatch.errors import Skipped
from dbwatch.model import Reason

LIMITS = "Limit           Soft Limit  Hard Limit  Units\nMax open files  {}  524288  files\n"


@pytest.fixture
def link() -> Iterator[tuple[socket.socket, int]]:
    """A connection over loopback, and the port at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        yield client, server.getsockname()[1]


class Machine:
    """A root folder with /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc/net").mkdir(parents=True)

    def listens(self, port: int, inode: int, uid: int) -> None:
        header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        line = f"   0: 0100007F:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {uid} 0 {inode} 1\n"
        (self.root / "proc/net/tcp").write_text(header + line)

    def process(self, pid: int, *, name: str = "pgbouncer", inode: int | None = None, files: str = "1024") -> None:
        folder = self.root / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        (folder / "limits").write_text(LIMITS.format(files))
        if inode is not None:
            (folder / "fd" / "7").symlink_to(f"socket:[{inode}]")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_one_that_holds_the_listening_socket(machine: Machine, link: tuple[socket.socket, int]) -> None:
    client, port = link
    machine.listens(port, 4711, os.getuid())
    machine.process(10, inode=1)
    machine.process(11, inode=4711, files="256")
    found = process_behind(client.fileno(), machine.root)
    assert (found.pid, found.open_files_limit, found.open_files) == (11, 256.0, 1.0)


def test_the_only_one_of_its_user_where_we_may_not_look_into_it(
    machine: Machine, link: tuple[socket.socket, int]
) -> None:
    client, port = link
    machine.listens(port, 4711, os.getuid())
    machine.process(11, files="unlimited")
    machine.process(12, name="postgres")
    assert process_behind(client.fileno(), machine.root).open_files_limit is None


@pytest.mark.parametrize("many", [0, 2], ids=["none", "two"])
def test_none_or_several_that_could_be_it(machine: Machine, link: tuple[socket.socket, int], many: int) -> None:
    client, port = link
    machine.listens(port, 4711, os.getuid())
    for pid in range(many):
        machine.process(20 + pid)
    with pytest.raises(Skipped, match="several processes" if many else "cannot be seen") as caught:
        process_behind(client.fileno(), machine.root)
    assert caught.value.reason is Reason.PLATFORM


def test_what_listens_is_not_of_this_machine(machine: Machine, link: tuple[socket.socket, int]) -> None:
    machine.process(11)
    with pytest.raises(Skipped, match="not of this machine"):
        process_behind(link[0].fileno(), machine.root)


def test_of_another_user_is_another(machine: Machine, link: tuple[socket.socket, int]) -> None:
    client, port = link
    machine.listens(port, 4711, os.getuid() + 1)
    machine.process(11)
    with pytest.raises(Skipped):
        process_behind(client.fileno(), machine.root)


def test_behind_a_socket_file_the_kernel_says_who_it_is(machine: Machine) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        machine.process(os.getpid(), files="64")
        assert process_behind(ours.fileno(), machine.root).open_files_limit == 64.0


def test_systemd_may_hold_the_socket_file(machine: Machine) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        machine.process(os.getpid(), name="systemd")
        with pytest.raises(Skipped, match="or is another"):
            process_behind(ours.fileno(), machine.root)
