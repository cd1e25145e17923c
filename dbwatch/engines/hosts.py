"""Owns what watched machines tell the servers that run on them, in this process. Reads nothing and judges nothing.

A machine tells from its own lane. A server that asks before the machine has told anything waits a moment: in a
one-shot run both lanes start at once. Everything here is locked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

BELIEVED_SECONDS = 900.0
"""Three times as long as a machine may go without telling anew."""
_FIRST_WORD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class VolumeSpace:
    """What a server may use of a volume, and what it may still take. `path` is the machine's own."""

    path: str
    size_bytes: float
    available_bytes: float


@dataclass(frozen=True, slots=True)
class HostTold:
    """A machine as its servers have it: with the limits of their control group. None is not known."""

    host: str
    memory_bytes: float | None = None
    cpus: float | None = None
    volumes: Mapping[str, VolumeSpace] = field(default_factory=dict)

    @property
    def wal_volume(self) -> VolumeSpace | None:
        """The volume of the log: the one called `wal`, else the data's."""
        return self.volumes.get("wal") or self.volumes.get("data")


class Hosts:
    """All watched machines of this process. Any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._now = clock
        self._changed = threading.Condition()
        self._silent = 0
        self._waited = False
        self._told: dict[str, tuple[float, HostTold]] = {}

    def teller(self) -> Teller:
        """For one machine that is going to be watched."""
        with self._changed:
            self._silent += 1
        return Teller(self)

    def of(self, server: str) -> HostTold | None:
        """What was told of the machine of this target, not long ago; None when no machine says that it runs there."""
        with self._changed:
            if self._silent and not self._waited and server not in self._told:
                self._changed.wait_for(lambda: server in self._told or not self._silent, _FIRST_WORD_SECONDS)
                self._waited = True  # who has not spoken by now is away, and nobody waits for him twice
            at, told = self._told.get(server, (0.0, None))
            return told if told is not None and self._now() - at <= BELIEVED_SECONDS else None

    def _hear(self, servers: tuple[str, ...], told: HostTold | None, *, first: bool) -> None:
        with self._changed:
            self._silent -= first
            if told is not None:
                self._told.update({server: (self._now(), told) for server in servers})
            self._changed.notify_all()


class Teller:
    """One machine's way to tell. Used by its lane's thread only."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._first = True

    def tell(self, servers: tuple[str, ...], told: HostTold | None) -> None:
        """What there is now; None when nothing could be read."""
        self._hosts._hear(servers, told, first=self._first)  # noqa: SLF001 - a part of it
        self._first = False
