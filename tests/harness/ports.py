"""Free TCP ports on loopback, held by a file lock so that parallel runs never hand out the same one.

They lie below the ephemeral range, so no outgoing connection of anybody takes one between claim and listen.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

from tests.harness.binaries import MissingError

LOWEST = 20000
CEILING = 32000
TRIES = 2000
BUS_DISTANCE = 10_000


class Port:
    """One claimed port. The claim lasts until `release` or the end of this process."""

    def __init__(self, number: int, lock: int) -> None:
        self.number = number
        self._lock: int | None = lock

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def claim() -> Port:
    """A port that nobody listens on and no other claim holds."""
    top = min(CEILING, _ephemeral_start())
    for number in _shuffled(LOWEST, top):
        if (port := _claimed(number)) is not None:
            return port
    raise RuntimeError(f"no free port between {LOWEST} and {top}")


def claim_with_bus() -> tuple[Port, Port]:
    """A port and the one 10,000 above it, where a Redis before 7 has its cluster bus. Neither is ephemeral."""
    top = min(CEILING, _ephemeral_start()) - BUS_DISTANCE
    for number in _shuffled(LOWEST, top):
        if (port := _claimed(number)) is None:
            continue
        if (bus := _claimed(number + BUS_DISTANCE)) is not None:
            return port, bus
        port.release()
    raise RuntimeError(f"no two free ports {BUS_DISTANCE} apart from {LOWEST} to {top}")


def _shuffled(lowest: int, top: int) -> list[int]:
    return random.SystemRandom().sample(range(lowest, top), k=max(0, min(TRIES, top - lowest)))


def _claimed(number: int) -> Port | None:
    folder = Path(tempfile.gettempdir()) / f"dbwatch-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    if _free(number):
        return Port(number, lock)
    os.close(lock)
    return None


def _free(number: int) -> bool:
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, number))
            except OSError:
                return False
    return True


def _ephemeral_start() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    except OSError:
        return CEILING
    return max(int(text.split()[0]), LOWEST + 1000)


def address_beyond_loopback() -> str:
    """An IPv4 address of this machine that others could know. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            raise MissingError("network", "this machine has no address beyond loopback") from None
        return str(probe.getsockname()[0])
