"""Owns which answers of PgBouncer's console a check may use. Knows no connection.

The console has one language for looking and for acting: PAUSE, KILL and SHUTDOWN are a word away. SHOW FDS is left out,
since it hands over the file descriptors of clients.
"""

from __future__ import annotations

from typing import Final

SHOWS: Final = frozenset(
    {
        "SHOW CLIENTS",
        "SHOW CONFIG",
        "SHOW DATABASES",
        "SHOW DNS_HOSTS",
        "SHOW DNS_ZONES",
        "SHOW LISTS",
        "SHOW MEM",
        "SHOW PEERS",
        "SHOW PEER_POOLS",
        "SHOW POOLS",
        "SHOW SERVERS",
        "SHOW STATE",
        "SHOW STATS",
        "SHOW STATS_AVERAGES",
        "SHOW STATS_TOTALS",
        "SHOW TOTALS",
        "SHOW USERS",
        "SHOW VERSION",
    }
)
KNOWN_SHOWS: Final = ", ".join(sorted(SHOWS))


def only_shows(command: str) -> bool:
    """True for a listed command, as it stands."""
    return command in SHOWS
