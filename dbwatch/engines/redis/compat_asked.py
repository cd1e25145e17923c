"""Owns what redis_exporter learns beyond INFO: slow log, latency, settings, cluster, sentinels. Knows no page.

The arguments of slow commands are somebody's data and stay where they are. Of the settings only harmless ones are read,
by name: the exporter's own CONFIG GET * would fetch the passwords too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from dbwatch.engines.redis.commands import fields_of
from dbwatch.engines.redis.compat import Rows, asked_if_there, busiest, collecting, numbered, pairs
from dbwatch.engines.redis.fields import flag, number
from dbwatch.engines.redis.probe import Probe, ProbeContext
from dbwatch.errors import CheckError, ConnectionLost
from dbwatch.model import RawRow, Reason

_DOWN: Final = re.compile("[os]_down")
_NAMED_OTHERWISE: Final = frozenset({"cluster_stats_messages_sent", "cluster_stats_messages_received"})


def _slowlog(context: ProbeContext) -> Rows:
    length = context.ask("SLOWLOG LEN")
    newest = context.ask("SLOWLOG GET", "1")
    entry = newest[0] if isinstance(newest, list) and newest else [0, 0, 0]
    yield {
        "length": _number(length),
        "last_id": _number(entry[0]),
        "last_seconds": _scaled(entry[2], 1e6),
    }


def _latency(context: ProbeContext) -> Rows:
    reply = context.ask("LATENCY LATEST")
    for event, at, last, *_ in reply if isinstance(reply, list) else ():
        yield {"event_name": str(event), "at": _number(at), "seconds": _scaled(last, 1e3)}


def _histogram(context: ProbeContext) -> Rows:
    told = {command: pairs(found) for command, found in pairs(context.ask("LATENCY HISTOGRAM")).items()}
    for command in busiest(context.info, told):
        calls = _number(told[command].get("calls"))
        usec = number(context.info, f"cmdstat_{command}.usec")
        yield {"cmd": command, "le": "+Inf", "bucket": calls, "count": calls, "sum": usec}
        for limit, below in pairs(told[command].get("histogram_usec")).items():
            yield {"cmd": command, "le": limit, "bucket": _number(below)}


def _config(context: ProbeContext) -> Rows:
    """What INFO shows of the settings, and the few others that the exporter has under names of their own."""
    info = context.info
    threads = pairs(asked_if_there(context, "CONFIG GET", "io-threads")).get("io-threads")
    yield {
        "maxclients": number(info, "maxclients"),
        "maxmemory": number(info, "maxmemory"),
        "repl_backlog_size": number(info, "repl_backlog_size"),
        "io_threads": _number(threads),
    }
    setting = "client-output-buffer-limit"
    words = str(pairs(asked_if_there(context, "CONFIG GET", setting)).get(setting) or "").split()
    for kind, hard, soft, seconds in zip(*[iter(words)] * 4, strict=False):
        yield {"class": kind, "limit": "hard", "limit_bytes": _number(hard)}
        yield {"class": kind, "limit": "soft", "limit_bytes": _number(soft), "limit_seconds": _number(seconds)}


def _cluster_bus(context: ProbeContext) -> Rows:
    """Numbers of CLUSTER INFO whose names the server makes up, as one for each kind of message it has seen."""
    for name, value in fields_of(context.ask("CLUSTER INFO")).items():
        if name.startswith("cluster_stats_") and name not in _NAMED_OTHERWISE:
            yield {"stat": name.removeprefix("cluster_stats_"), "count": _number(value)}


def _sentinel(context: ProbeContext) -> Rows:
    info = context.info
    yield {
        name: number(info, f"sentinel_{name}")
        for name in ("masters", "tilt", "running_scripts", "scripts_queue_length", "simulate_failure_flags")
    }
    for _, name in numbered(info, "master"):
        yield {
            "master_name": info.get(f"{name}.name"),
            "master_address": info.get(f"{name}.address"),
            "master_status": info.get(f"{name}.status"),
            "status": flag(info, f"{name}.status", "ok"),
            "slaves": number(info, f"{name}.slaves"),
            "sentinels": number(info, f"{name}.sentinels"),
        }
    for primary in _listed(asked_if_there(context, "SENTINEL MASTERS")):
        name = str(primary.get("name"))
        yield {
            "master_name": name,
            "master_address": f"{primary.get('ip')}:{primary.get('port')}",
            **_of_primary(context, name, primary),
        }
        yield from _quorum(context, name)


def _of_primary(context: ProbeContext, name: str, primary: Mapping[str, object]) -> RawRow:
    return {
        "ok_slaves": _answering(context, "SENTINEL REPLICAS", name),
        "ok_sentinels": _answering(context, "SENTINEL SENTINELS", name, itself=1),
        "last_ok_ping": _scaled(primary.get("last-ok-ping-reply"), 1e3),
        "config_epoch": _number(primary.get("config-epoch")),
        "quorum": _number(primary.get("quorum")),
        "failover_timeout": _number(primary.get("failover-timeout")),
        "parallel_syncs": _number(primary.get("parallel-syncs")),
        "down_after": _number(primary.get("down-after-milliseconds")),
    }


def _answering(context: ProbeContext, command: str, name: str, itself: int = 0) -> float | None:
    reply = asked_if_there(context, command, name)
    if reply is None:
        return None
    return float(itself + sum(not _DOWN.search(str(peer.get("flags"))) for peer in _listed(reply)))


def _quorum(context: ProbeContext, name: str) -> Rows:
    """The sentinel says no by an error reply; its words are a label of that exporter."""
    try:
        said = asked_if_there(context, "SENTINEL CKQUORUM", name)
    except ConnectionLost:
        raise
    except CheckError as error:
        if error.reason is not Reason.ERROR:
            raise
        yield {"master_name": name, "message": str(error.__cause__ or error), "ckquorum": 0.0}
    else:
        if isinstance(said, str):
            yield {"master_name": name, "message": said, "ckquorum": 1.0}


def _listed(reply: object) -> Iterator[Mapping[str, object]]:
    yield from map(pairs, reply if isinstance(reply, list) else ())


def _number(value: object) -> float | None:
    """A number that came as one or as a text; None for anything else."""
    return number({"it": str(value)}, "it")


def _scaled(value: object, divisor: float) -> float | None:
    plain = _number(value)
    return plain / divisor if plain is not None else None


ASKED: Final[Mapping[str, Probe]] = {
    "compat_cluster_bus": collecting(_cluster_bus, "CLUSTER INFO"),
    "compat_config": collecting(_config, optional=("CONFIG GET",)),
    "compat_latency": collecting(_latency, "LATENCY LATEST"),
    "compat_latency_histogram": collecting(_histogram, "LATENCY HISTOGRAM"),
    "compat_sentinel": collecting(
        _sentinel,
        optional=("SENTINEL MASTERS", "SENTINEL REPLICAS", "SENTINEL SENTINELS", "SENTINEL CKQUORUM"),
    ),
    "compat_slowlog": collecting(_slowlog, "SLOWLOG LEN", "SLOWLOG GET"),
}
