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
FOR_PROBES: Final = frozenset(
    {
        "CLIENT LIST",
        "CLUSTER NODES",
        "COMMANDLOG GET",
        "COMMANDLOG LEN",
        "CONFIG GET",
        "DBSIZE",
        "MEMORY USAGE",
        "SCAN",
        "SENTINEL CKQUORUM",
        "SENTINEL MASTERS",
        "SENTINEL REPLICAS",
        "SENTINEL SENTINELS",
    }
)
"""Commands whose answers need a reader of ours: a check file cannot name them."""
SETTINGS_READ: Final = frozenset(
    {
        "bind",
        "client-output-buffer-limit",
        "databases",
        "io-threads",
        "latency-monitor-threshold",
        "min-replicas-to-write",
        "port",
        "protected-mode",
        "save",
        "slowlog-log-slower-than",
        "slowlog-max-len",
        "tls-port",
    }
)
"""What CONFIG GET may ask for. Passwords are settings too, so there is no pattern and no other name."""
_WITH_ARGUMENTS: Final = frozenset({"SLOWLOG GET", "LATENCY HISTORY", "LATENCY HISTOGRAM"})
KNOWN_COMMANDS: Final = ", ".join(sorted(ALLOWED))


def only_looks(command: str) -> bool:
    """True for a listed command, with arguments where it takes any."""
    words = command.split()
    name = " ".join(words)
    return name in ALLOWED or (len(words) > 2 and " ".join(words[:2]) in _WITH_ARGUMENTS)
