"""Owns which Redis commands a check may use. Knows no connection.

A monitor only looks: KEYS blocks the server, MONITOR halves its speed, EVAL can do anything, CONFIG GET shows
passwords. The loader refuses what is not listed, and the engine refuses it again.
"""

from __future__ import annotations

from typing import Final

ALLOWED: Final = frozenset(
    {
        "INFO",
        "PING",
        "ROLE",
        "SLOWLOG LEN",
        "SLOWLOG GET",
        "LATENCY LATEST",
        "LATENCY HISTORY",
        "LATENCY HISTOGRAM",
        "CLIENT INFO",
        "MEMORY STATS",
        "CLUSTER INFO",
    }
)
_WITH_ARGUMENTS: Final = frozenset({"SLOWLOG GET", "LATENCY HISTORY", "LATENCY HISTOGRAM"})
KNOWN_COMMANDS: Final = ", ".join(sorted(ALLOWED))


def only_looks(command: str) -> bool:
    """True for a listed command, with arguments where it takes any."""
    words = command.split()
    name = " ".join(words)
    return name in ALLOWED or (len(words) > 2 and " ".join(words[:2]) in _WITH_ARGUMENTS)
