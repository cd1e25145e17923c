"""Owns what the table of releases says of a Redis or Valkey server, from INFO. Pure."""

from __future__ import annotations

from dbwatch.engines import versions
from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.facts import version_tuple
from dbwatch.engines.releases import Product, known_releases
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import RawRow, Reason

_OTHERS = ("dragonfly_version", "keydb_version", "redict_version")
"""Servers that speak the protocol, call themselves a version of Redis, and have releases of their own."""


def outdated(info: Fields) -> tuple[RawRow, ...]:
    """The patches this server has missed, and how old that knowledge is."""
    product, shown = _identified(info)
    row = versions.outdated_row(product, version_tuple(shown), shown, versions.today())
    return ({name: value for name, value in row.items() if name != "corruption_releases"},)


def unsupported(info: Fields) -> tuple[RawRow, ...]:
    """How long this server's series is still supported."""
    product, shown = _identified(info)
    return (versions.unsupported_row(product, version_tuple(shown), shown, versions.today()),)


def _identified(info: Fields) -> tuple[Product, str]:
    """The product, and the version as it says it. Raises Skipped for what the table cannot speak of."""
    for name in _OTHERS:
        if name in info:
            raise Skipped(Reason.PLATFORM, f"{name.partition('_')[0]} has releases of its own")
    if "ElastiCache" in info.get("os", ""):
        raise Skipped(Reason.PLATFORM, "ElastiCache has releases of its own")
    if "valkey_version" in info:
        return known_releases("valkey"), info["valkey_version"]
    if "redis_version" not in info:
        raise CheckError(Reason.BAD_RESULT, "INFO does not tell the version of the server")
    return known_releases("redis"), info["redis_version"]
