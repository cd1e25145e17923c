"""Owns what the endpoint asks of its callers, settled. Knows no file, neither connections nor requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dbwatch.errors import Problem

if TYPE_CHECKING:
    from dbwatch.web.tls import Tls
    from dbwatch.web.users import Users


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` requests at once, one more every `interval_seconds`."""

    interval_seconds: float
    burst: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What the endpoint asks of its callers. The default asks nothing."""

    tls: Tls | None = None
    verifies_clients: bool = False
    users: Users | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    rate: Rate | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """One reading: settings or problems, and the files it depended on."""

    settings: Settings | None
    problems: tuple[Problem, ...]
    files: tuple[Path, ...]
