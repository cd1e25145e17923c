"""Owns how many peers there may be and which of them goes when there are too many. Knows no protocol.

The one that goes is the one heard of longest ago: a flood of silent peers pushes itself out, and who comes to ask is
let in.
"""

from __future__ import annotations

import resource
from typing import Final, Protocol

MOST_PEERS: Final = 512
MOST_UNREAD_BYTES: Final = 64 * 1024 * 1024


class Peer(Protocol):
    """One connection."""

    def abort(self) -> None:
        """End it now, whatever it is doing."""

    def unread_bytes(self) -> int:
        """How much of what it asked for it has not taken yet."""


class Peers:
    """Every connection, the one heard of longest ago first. Belongs to one event loop."""

    def __init__(self, most: int | None = None, most_unread_bytes: int = MOST_UNREAD_BYTES) -> None:
        self._most = most if most is not None else most_peers()
        self._most_unread_bytes = most_unread_bytes
        self._known: dict[Peer, None] = {}

    def __len__(self) -> int:
        return len(self._known)

    def arrived(self, peer: Peer) -> None:
        self._known[peer] = None
        while len(self._known) > self._most:
            self._end(next(iter(self._known)))

    def asked(self, peer: Peer) -> None:
        """It sent a whole request: it goes to the end of the line."""
        if peer in self._known:
            del self._known[peer]
            self._known[peer] = None

    def answered(self, peer: Peer) -> None:
        """Its answer is on its way; answers that nobody takes must not fill the memory."""
        self.asked(peer)
        if not peer.unread_bytes():
            return
        waiting = [(other, size) for other in self._known if (size := other.unread_bytes())]
        total = sum(size for _, size in waiting)
        for other, size in waiting:
            if total <= self._most_unread_bytes or other is peer:
                return
            self._end(other)
            total -= size

    def left(self, peer: Peer) -> None:
        self._known.pop(peer, None)

    def end_all(self) -> None:
        for peer in list(self._known):
            self._end(peer)

    def _end(self, peer: Peer) -> None:
        del self._known[peer]
        peer.abort()


def most_peers() -> int:
    """Half of the files this process may have open, at most 512: the lanes need some too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_PEERS if soft == resource.RLIM_INFINITY else max(8, min(MOST_PEERS, soft // 2))
