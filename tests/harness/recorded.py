"""Owns the output of a backup tool as somebody might have recorded it: the shape of pgBackRest's, with true times."""

from __future__ import annotations

import json
import time

_OK = {"code": 0, "message": "ok"}


def recorded_info(
    system_identifier: int,
    *,
    first: str = "000000010000000000000001",
    last: str = "000000010000000000000001",
    running: bool = False,
) -> str:
    """`pgbackrest info` of the stanza `main`: a full backup an hour ago, and log from `first` to `last`."""
    now = int(time.time())
    backup = {
        "archive": {"start": first, "stop": first},
        "database": {"id": 1, "repo-key": 1},
        "info": {"size": 40_000_000, "delta": 40_000_000, "repository": {"size": 5_000_000, "delta": 5_000_000}},
        "label": "20261120-030000F",
        "timestamp": {"start": now - 3700, "stop": now - 3600},
        "type": "full",
    }
    stanza = {
        "name": "main",
        "status": {**_OK, "lock": {"backup": {"held": running}}},
        "repo": [{"key": 1, "status": _OK}],
        "db": [{"id": 1, "repo-key": 1, "system-id": system_identifier, "version": "18"}],
        "archive": [{"database": {"id": 1, "repo-key": 1}, "min": first, "max": last}],
        "backup": [backup],
    }
    return json.dumps([stanza])
