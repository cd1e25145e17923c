"""Owns what redis_exporter tells of INFO under labels: instance, replicas, databases, commands, errors. Knows no page.

The names of labels and families are that exporter's, in `checks/compat/redis_exporter`; a row may leave out what does
not concern it. Whatever a server does not tell is left out, never 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import flag, number
from dbwatch.engines.redis.probe import Probe, ProbeContext
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

Rows: TypeAlias = Iterator[RawRow]

_IDENTITY: Final = (
    "master_replid",
    "maxmemory_policy",
    "os",
    "process_id",
    "redis_build_id",
    "redis_version",
    "role",
    "run_id",
    "tcp_port",
    "valkey_release_stage",
    "valkey_version",
)


def collecting(read: Callable[[ProbeContext], Rows], *commands: str, optional: tuple[str, ...] = ()) -> Probe:
    """A probe whose rows are filled up with NULL to the columns of its collector."""

    def look(context: ProbeContext) -> tuple[RawRow, ...]:
        columns = context.check.columns
        return tuple({name: row.get(name) for name in columns} for row in read(context))

    return Probe(look, commands, optional)


def asked_if_there(context: ProbeContext, command: str, *arguments: str) -> object:
    """The answer, or None when this user or server has no such command. A server without it is not asked again."""
    gone = context.memory.of(_Gone)
    if command in gone.commands:
        return None
    try:
        return context.ask(command, *arguments)
    except Skipped as skipped:
        if skipped.reason is Reason.PLATFORM:
            gone.commands.add(command)  # each time would be one more error in the server's own count
        return None


def pairs(reply: object) -> Mapping[str, object]:
    """A flat list of names and values as a mapping; empty when the reply is anything else."""
    if not isinstance(reply, list) or len(reply) % 2:
        return {}
    return {str(name): value for name, value in zip(reply[::2], reply[1::2], strict=True)}


@dataclass(slots=True)
class _Gone:
    commands: set[str] = field(default_factory=set)


def _instance(context: ProbeContext) -> Rows:
    info = context.info
    yield {
        **{name: info.get(name) for name in _IDENTITY},
        "redis_mode": info.get("redis_mode") or info.get("server_mode"),
        "instance": 1.0,
        "start_time": context.facts.started_at_seconds,
    }
    if info.get("role") == "slave":
        yield {
            "master_host": info.get("master_host"),
            "master_port": info.get("master_port"),
            "read_only": info.get("slave_read_only"),
            "slave": 1.0,
            "link_up": flag(info, "master_link_status", "up"),
            "last_io": number(info, "master_last_io_seconds_ago"),
            "syncing": number(info, "master_sync_in_progress"),
            "offset": number(info, "slave_repl_offset"),
        }


def _replicas(context: ProbeContext) -> Rows:
    for _, name in numbered(context.info, "slave"):
        lag = number(context.info, f"{name}.lag")
        yield {
            "slave_ip": context.info.get(f"{name}.ip"),
            "slave_port": context.info.get(f"{name}.port"),
            "slave_state": context.info.get(f"{name}.state"),
            "offset": number(context.info, f"{name}.offset"),
            "lag": lag if lag is not None and lag >= 0 else None,
        }


def _keyspace(context: ProbeContext) -> Rows:
    """INFO leaves out empty databases; how many there are is a setting, which not every user may read."""
    info = context.info
    there = dict.fromkeys(position for position, _ in numbered(info, "db"))
    databases: object = "1"
    if info.get("cluster_enabled") != "1":
        databases = pairs(asked_if_there(context, "CONFIG GET", "databases")).get("databases")
    if isinstance(databases, str) and databases.isdecimal():
        there |= dict.fromkeys(range(min(int(databases), context.check.limit)))
    for position in there:
        name = f"db{position}"
        ttl = number(info, f"{name}.avg_ttl")
        with_items = (number(info, f"{name}.{items}") for items in ("subexpiry", "keys_with_volatile_items"))
        yield {
            "db": name,
            "keys": number(info, f"{name}.keys") if name in info else 0.0,
            "expiring": number(info, f"{name}.expires") if name in info else 0.0,
            "with_items": next((count for count in with_items if count is not None), None),
            "avg_ttl": ttl / 1000 if ttl is not None else None,
        }


def _commands(context: ProbeContext) -> Rows:
    for command in busiest(context.info, _named(context.info, "cmdstat_")):
        stat = f"cmdstat_{command}"
        usec = number(context.info, f"{stat}.usec")
        yield {
            "cmd": command,
            "calls": number(context.info, f"{stat}.calls"),
            "seconds": usec / 1e6 if usec is not None else None,
            "rejected": number(context.info, f"{stat}.rejected_calls"),
            "failed": number(context.info, f"{stat}.failed_calls"),
        }


def _errors(context: ProbeContext) -> Rows:
    for code in _named(context.info, "errorstat_"):
        yield {"err": code, "count": number(context.info, f"errorstat_{code}.count")}


def _percentiles(context: ProbeContext) -> Rows:
    info, prefix = context.info, "latency_percentiles_usec_"
    for command in busiest(info, _named(info, prefix)):
        sums = {"sum": number(info, f"cmdstat_{command}.usec"), "count": number(info, f"cmdstat_{command}.calls")}
        if sums["count"] is None:
            continue
        for piece in info[prefix + command].split(","):
            quantile, _, usec = piece.removeprefix("p").partition("=")
            yield {"cmd": command, "quantile": quantile, "usec": number({"usec": usec}, "usec"), **sums}
            sums = {}


def busiest(info: Fields, commands: Iterable[str]) -> list[str]:
    """The commands that took most time first: where there are more rows than fit, the others are left out."""
    return sorted(commands, key=lambda command: -(number(info, f"cmdstat_{command}.usec") or 0.0))


def _named(info: Fields, prefix: str) -> Iterator[str]:
    """What follows the prefix in the fields that INFO has, without the pieces of their values."""
    for name, value in info.items():
        if name.startswith(prefix) and "=" in value:
            yield name.removeprefix(prefix)


def numbered(info: Fields, prefix: str) -> Iterator[tuple[int, str]]:
    """The fields `slave0`, `slave1`, … that INFO has, each with its number."""
    for name, value in info.items():
        if (match := re.fullmatch(prefix + r"(\d+)", name)) is not None and "=" in value:
            yield int(match.group(1)), name


OF_INFO: Final[Mapping[str, Probe]] = {
    "compat_commands": collecting(_commands),
    "compat_errors": collecting(_errors),
    "compat_instance": collecting(_instance),
    "compat_keyspace": collecting(_keyspace, optional=("CONFIG GET",)),
    "compat_latency_percentiles": collecting(_percentiles),
    "compat_replicas": collecting(_replicas),
}
