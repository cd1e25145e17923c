"""Owns what the console tells about a PgBouncer: its version and the settings that decide what checks may ask. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dbwatch.config import Target
from dbwatch.engines.pgbouncer.console import Shown, text
from dbwatch.errors import CheckError
from dbwatch.model import Engine, Facts, Reason, Role

FLAVOUR: Final = "pgbouncer"
_SETTINGS: Final = ("pool_mode", "listen_port", "unix_socket_dir", "so_reuseport", "peer_id")
_VERSION: Final = re.compile(r"PgBouncer (\d+(?:\.\d+)*)\S*")


def facts_of(version: Shown, config: Shown | None, target: Target) -> Facts:
    """The facts, without a database: the console is none, and what mends a pool is to be said at the console.

    Raises CheckError when what answers is no PgBouncer's console.
    """
    told = " ".join(str(value) for row in version.rows for value in row.values())
    match = _VERSION.search(told)
    if match is None:
        message = f"what answers at {target.address} is not the console of PgBouncer: its version is {told[:60]!r}"
        raise CheckError(Reason.ERROR, message, step="facts")
    return Facts(
        engine=Engine.PGBOUNCER,
        version=tuple(int(part) for part in match[1].split(".")),
        version_text=match[0].removeprefix("PgBouncer "),
        role=Role.PRIMARY,
        flavour=FLAVOUR,
        settings=_settings(config),
        user=target.user,
        address=target.address,
    )


def settings_of(config: Shown) -> Mapping[str, object]:
    """SHOW CONFIG by name."""
    return {text(row, "key"): row.get("value") for row in config.having("key", "value").rows}


def _settings(config: Shown | None) -> Mapping[str, str]:
    if config is None:
        return MappingProxyType({})
    found = settings_of(config)
    return MappingProxyType({name: str(found[name]) for name in _SETTINGS if found.get(name) is not None})
