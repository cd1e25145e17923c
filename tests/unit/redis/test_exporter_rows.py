"""What redis_exporter's names are filled with, where a server is odd, small or does not let us look."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.catalogue.families import Exporter
from dbwatch.config import Target
from dbwatch.engines.memory import Memory
from dbwatch.engines.redis.commands import fields_of
from dbwatch.engines.redis.facts import facts_of
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.engines.redis.probes import PROBES
from dbwatch.errors import CheckError, ConnectionLost, Skipped
from dbwatch.exposition.compat.rendering import render_collected, told_apart
from dbwatch.model import Engine, Outcome, RawRow, Reason, Status
from dbwatch.runner.contract import fit

TARGET = Target(name="cache", engine=Engine.REDIS, host="h", port=6379)
COLLECTORS = load_collectors([bundled("checks")]).checks
SENTINEL = """redis_mode:sentinel
sentinel_masters:1
sentinel_tilt:0
master0:name=main,status=odown,address=10.0.0.1:6379,slaves=2,sentinels=3
"""
PRIMARY = ["name", "main", "ip", "10.0.0.1", "port", "6379", "quorum", "2", "last-ok-ping-reply", "1500"]
Ask = Callable[..., object]


class Server:
    """What it answers to each command; an error is raised, and every question kept."""

    def __init__(self, **answers: object) -> None:
        self.answers = {name.replace("_", " "): answer for name, answer in answers.items()}
        self.asked: list[str] = []

    def __call__(self, command: str, *arguments: str) -> object:
        self.asked.append(" ".join((command, *arguments)))
        answer = self.answers[command]
        if isinstance(answer, Exception):
            raise answer
        return answer


def context(collector: str, info: str, ask: Ask, memory: Memory | None = None) -> ProbeContext:
    fields = fields_of(info)
    return ProbeContext(
        info=fields,
        ask=ask,
        knock=lambda command="PING": None,
        remaining=lambda: 5.0,
        facts=facts_of(fields, TARGET),
        check=COLLECTORS[Exporter.REDIS, collector],
        target=TARGET,
        memory=memory or Memory(),
    )


def rows(collector: str, info: str = "# x\n", ask: Ask | None = None, memory: Memory | None = None) -> list[RawRow]:
    seen = context(collector, info, ask or Server(), memory)
    found = PROBES[seen.check.probe or ""].look(seen)
    fit(seen.check, found)
    return list(found)


def told(row: RawRow, *without: str) -> Mapping[str, object]:
    return {name: value for name, value in row.items() if value is not None and name not in without}


KEYSPACE = "# Keyspace\ndb0:keys=3,expires=1,avg_ttl=1500,subexpiry=2\ndb7:keys=1,expires=0,avg_ttl=0\n"


def test_databases_without_keys_are_counted_where_their_number_may_be_read() -> None:
    found = rows("keyspace", KEYSPACE, Server(CONFIG_GET=["databases", "9"]))
    assert [row["db"] for row in found] == ["db0", "db7", "db1", "db2", "db3", "db4", "db5", "db6", "db8"]
    assert told(found[0]) == {"db": "db0", "keys": 3.0, "expiring": 1.0, "with_items": 2.0, "avg_ttl": 1.5}
    assert told(found[1]) == {"db": "db7", "keys": 1.0, "expiring": 0.0, "avg_ttl": 0.0}
    assert told(found[2]) == {"db": "db1", "keys": 0.0, "expiring": 0.0}


def test_a_cluster_node_has_one_database() -> None:
    assert [row["db"] for row in rows("keyspace", "cluster_enabled:1\nredis_mode:cluster\n", Server())] == ["db0"]


@pytest.mark.parametrize(("reason", "questions"), [(Reason.PLATFORM, 1), (Reason.PRIVILEGE, 2)])
def test_a_command_that_is_not_there_is_not_asked_again(reason: Reason, questions: int) -> None:
    """Every time would be an error in the server's own count. What is merely forbidden may be allowed one day."""
    server, memory = Server(CONFIG_GET=Skipped(reason, "no", step="CONFIG GET")), Memory()
    for _ in range(2):
        assert [row["db"] for row in rows("keyspace", KEYSPACE, server, memory)] == ["db0", "db7"]
    assert len(server.asked) == questions


def test_what_a_lost_connection_could_not_tell_is_not_left_out_quietly() -> None:
    lost = ConnectionLost(Reason.TIMEOUT, "no answer", step="CONFIG GET")
    with pytest.raises(ConnectionLost):
        rows("keyspace", KEYSPACE, Server(CONFIG_GET=lost))


def test_the_busiest_commands_come_first() -> None:
    info = (
        "cmdstat_get:calls=9,usec=10,usec_per_call=1.11,rejected_calls=1,failed_calls=2\n"
        "cmdstat_config|get:calls=1,usec=500000,usec_per_call=1\n"
    )
    found = rows("commands", info)
    assert told(found[0]) == {"cmd": "config|get", "calls": 1.0, "seconds": 0.5}
    assert told(found[1]) == {"cmd": "get", "calls": 9.0, "seconds": 0.00001, "rejected": 1.0, "failed": 2.0}


def test_percentiles_carry_the_sums_of_the_command_once() -> None:
    info = (
        "cmdstat_get:calls=9,usec=10,usec_per_call=1.11\n"
        "latency_percentiles_usec_get:p50=0.001,p99.9=3.007\n"
        "latency_percentiles_usec_gone:p50=1\n"
    )
    assert [told(row) for row in rows("latency_percentiles", info)] == [
        {"cmd": "get", "quantile": "50", "usec": 0.001, "sum": 10.0, "count": 9.0},
        {"cmd": "get", "quantile": "99.9", "usec": 3.007},
    ]


def test_a_replica_that_never_confirmed_has_no_lag() -> None:
    info = "slave0:ip=fd00::3,port=6379,state=wait_bgsave,offset=0,lag=-1\nslave_priority:100\n"
    assert [told(row) for row in rows("replicas", info)] == [
        {"slave_ip": "fd00::3", "slave_port": "6379", "slave_state": "wait_bgsave", "offset": 0.0}
    ]


def test_an_empty_slow_log() -> None:
    found = rows("slowlog", ask=Server(SLOWLOG_LEN=0, SLOWLOG_GET=[]))
    assert [told(row) for row in found] == [{"length": 0.0, "last_id": 0.0, "last_seconds": 0.0}]


def test_a_sentinel_without_quorum() -> None:
    no = CheckError(Reason.ERROR, "SENTINEL CKQUORUM answered: NOQUORUM 1 usable", step="SENTINEL CKQUORUM")
    no.__cause__ = ValueError("NOQUORUM 1 usable")
    server = Server(
        SENTINEL_MASTERS=[PRIMARY],
        SENTINEL_REPLICAS=[["flags", "slave"], ["flags", "s_down,slave"]],
        SENTINEL_SENTINELS=[["flags", "sentinel"], ["flags", "o_down,sentinel"]],
        SENTINEL_CKQUORUM=no,
    )
    found = [told(row) for row in rows("sentinel", SENTINEL, server)]
    place = {"master_name": "main", "master_address": "10.0.0.1:6379"}
    assert found[1] == {**place, "master_status": "odown", "status": 0.0, "slaves": 2.0, "sentinels": 3.0}
    assert found[2] == {**place, "ok_slaves": 1.0, "ok_sentinels": 2.0, "last_ok_ping": 1.5, "quorum": 2.0}
    assert found[3] == {"master_name": "main", "message": "NOQUORUM 1 usable", "ckquorum": 0.0}


def test_a_sentinel_that_tells_info_alone() -> None:
    refused = Skipped(Reason.PRIVILEGE, "no", step="SENTINEL MASTERS")
    assert len(rows("sentinel", SENTINEL, Server(SENTINEL_MASTERS=refused))) == 2


def test_a_histogram_is_one_family() -> None:
    reply = ["get", ["calls", 5, "histogram_usec", [1, 3, 4, 5]]]
    info = "cmdstat_get:calls=5,usec=11,usec_per_call=2.2\n"
    seen = context("latency_histogram", info, Server(LATENCY_HISTOGRAM=reply))
    raw = PROBES[seen.check.probe or ""].look(seen)
    outcome = Outcome("cache", seen.check.name, Status.OK, "-", rows=fit(seen.check, raw))
    assert seen.check.collector is not None
    rendered = render_collected(TARGET, seen.check.collector, outcome)
    assert (len(rendered.parts), rendered.series, rendered.dropped) == (1, 5, 0)
    together = next(told_apart(rendered.parts, "cache"))
    assert together.head.decode().endswith("# TYPE redis_commands_latencies_usec histogram\n")
    assert sorted(together.samples.decode().splitlines()) == [
        'redis_commands_latencies_usec_bucket{target="cache",cmd="get",le="+Inf"} 5.0',
        'redis_commands_latencies_usec_bucket{target="cache",cmd="get",le="1"} 3.0',
        'redis_commands_latencies_usec_bucket{target="cache",cmd="get",le="4"} 5.0',
        'redis_commands_latencies_usec_count{target="cache",cmd="get"} 5.0',
        'redis_commands_latencies_usec_sum{target="cache",cmd="get"} 11.0',
    ]
