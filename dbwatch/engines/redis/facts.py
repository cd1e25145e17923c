"""Owns what INFO says about a server: version, flavour, role, settings. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from dbwatch.config import Target
from dbwatch.engines.redis.commands import PRIVILEGES, Fields
from dbwatch.model import Engine, Facts, Role

_SETTINGS = (
    "maxmemory",
    "maxmemory_policy",
    "maxclients",
    "aof_enabled",
    "cluster_enabled",
    "slave_read_only",
    "config_file",
    "tcp_port",
)


def facts_of(info: Fields, target: Target, refused: frozenset[str] = frozenset()) -> Facts:
    """The facts; `refused` are the commands this user was seen not to have.

    A command counts as ours until it is refused: asking for each would fill the server's ACL log with our
    refusals. Without INFO nothing is known: the version is 0, and every check says why it cannot look.
    """
    version = info.get("valkey_version") or info.get("redis_version") or ""
    return Facts(
        engine=Engine.REDIS,
        version=version_tuple(version),
        version_text=version or "unknown",
        role=Role.STANDBY if info.get("role") == "slave" else Role.PRIMARY,
        flavour="valkey" if "valkey_version" in info else "redis",
        privileges=PRIVILEGES - refused,
        settings=_settings(info),
        database=target.database or "0",
        user=target.user or "default",
        started_at_seconds=_started_at(info),
        address=target.address,
    )


def version_tuple(text: str) -> tuple[int, ...]:
    """`7.0.15` is (7, 0, 15), `8.0-rc1` is (8, 0), anything else (0,)."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match.group().split(".")) if match else (0,)


def _settings(info: Fields) -> Mapping[str, str]:
    """INFO shows the settings that matter, so CONFIG is never needed. `mode` is standalone, cluster or sentinel."""
    found = {name: info[name] for name in _SETTINGS if name in info}
    mode = info.get("redis_mode") or info.get("server_mode")  # Valkey 9 renamed it
    if mode is not None:
        found["mode"] = mode
    return MappingProxyType(found)


def _started_at(info: Fields) -> float | None:
    """By the server's own clock where it tells it (6.2 and later)."""
    try:
        return int(info["server_time_usec"]) / 1e6 - int(info["uptime_in_seconds"])
    except (KeyError, ValueError):
        return None
