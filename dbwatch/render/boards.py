"""Owns which dashboard a check belongs to, and the addresses of dashboards and panels. Refuses to draw any.

One dashboard answers one question, so PostgreSQL has four: is it well, who waits for whom, does the data reach the
others, what will run out. Every other engine has one.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from dbwatch.catalogue import Check
from dbwatch.model import Engine

FLEET: Final = "fleet"
SELF: Final = "self"
POSTGRES: Final = str(Engine.POSTGRES)
ACTIVITY: Final = "postgres-activity"
REPLICATION: Final = "postgres-replication"
MAINTENANCE: Final = "postgres-maintenance"

_POSTGRES_BOARDS: Final = {
    "activity": ACTIVITY,
    "replication": REPLICATION,
    "wal": REPLICATION,
    "backup": REPLICATION,
    "maintenance": MAINTENANCE,
    "storage": MAINTENANCE,
}
"""By the `dashboard:` of a check's panel; the rest stands on the server's own page."""
_CHECK_PANELS_FROM: Final = 10_000


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard's file name without its suffix, and what stands above it. `engine` is None on those about all."""

    name: str
    title: str
    description: str
    engine: Engine | None = None

    @property
    def uid(self) -> str:
        return board_uid(self.name)


def board_uid(name: str) -> str:
    return f"dbwatch-{name}"


def board_of(check: Check) -> str:
    """The name of the dashboard to look at when this check found something."""
    if check.engine is not Engine.POSTGRES or check.panel is None:
        return str(check.engine)
    return _POSTGRES_BOARDS.get(check.panel.dashboard, POSTGRES)


def panel_id(check: Check) -> int:
    """The number of a check's panel on its dashboard: of the name alone, so that a new check renumbers no other."""
    return _CHECK_PANELS_FROM + zlib.crc32(check.name.encode()) % 1_000_000_000


def panel_path(check: Check, variables: str) -> str:
    """The check's dashboard, below any Grafana; its panel alone when it has one. `variables` is a query string."""
    path = f"/d/{board_uid(board_of(check))}?{variables}"
    return path if check.panel is None else f"{path}&viewPanel={panel_id(check)}"
