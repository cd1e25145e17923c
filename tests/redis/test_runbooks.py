"""Every redis-cli line of every runbook is understood by the servers, and dbwatch gets answers to its questions."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
import redis

from dbwatch.config.loader import target_from_url
from dbwatch.diagnose.ask import diagnose
from dbwatch.engines import Engines
from dbwatch.model import Engine
from dbwatch.runner.watchdog import Watchdog
from tests.conftest import FreshRedis
from tests.harness.binaries import REDIS_KINDS, RedisKind
from tests.render.bundled_files import catalogue

CHECKS = [check for check in catalogue() if check.engine is Engine.REDIS]
NOT_UNDERSTOOD = re.compile(r"unknown (sub)?command|wrong number of arguments|syntax error|unsupported config", re.I)
TOOLS = re.compile(r"--\w+|\b(SHUTDOWN|MONITOR|SUBSCRIBE|DEBUG|REPLICAOF|FAILOVER|SENTINEL|CLUSTER)\b")
"""Modes of redis-cli itself, and commands that end this test's server or want another one."""
NAMED = re.compile(r"\b(HOST|PORT|NAME|KEY|ID|N|USER)\b|[<{…]")
NEWER = {"redis-6.2": re.compile(r"LATENCY HISTOGRAM|FUNCTION"), "valkey-8.1": re.compile("nothing")}


def commands() -> Iterator[str]:
    """The words behind `redis-cli`, wherever in a runbook they stand, up to a pipe, a comment or the closing quote."""
    for check in CHECKS:
        book = check.runbook
        fix = check.fix.source if check.fix is not None else ""
        parts = (book.meaning, book.impact, book.diagnosis, book.mitigation, book.threshold, book.normal, book.silence)
        for text in filter(None, (*parts, fix)):
            for line in re.findall(r"redis-cli(?: --raw)?(?: -p \d+)? ([^|#`\n;)]+)", text):
                if not TOOLS.search(line) and not NAMED.search(line):
                    yield line.strip()


@pytest.mark.parametrize("kind", REDIS_KINDS)
def test_the_server_understands(kind: RedisKind, fresh_redis: FreshRedis) -> None:
    server = fresh_redis(kind)
    newer = NEWER.get(kind)
    wrong, count = [], 0
    with server.connect() as session:
        for command in sorted(set(commands())):
            if newer is not None and newer.search(command):
                continue
            count += 1
            try:
                session.execute_command(*shlex.split(command))
            except redis.ResponseError as error:
                if NOT_UNDERSTOOD.search(str(error)):
                    wrong.append(f"{command}: {error}")
    assert not wrong, "\n".join(wrong)
    assert count > 20


def test_the_questions_are_answered(fresh_redis: FreshRedis) -> None:
    target = target_from_url(fresh_redis("redis-7.0").url())
    watchdog, adapter = Watchdog(), Engines().adapter(Engine.REDIS)
    try:
        replies = [reply for check in CHECKS for reply in diagnose(check, target, adapter, watchdog)]
    finally:
        watchdog.close()
    refused = [reply for reply in replies if reply.error is not None]
    allowed = ("by itself", "SENTINEL", "cluster support disabled", "dbwatch does not send")
    unexpected = [
        f"{reply.question.text}: {reply.error}"
        for reply in refused
        if not any(word in str(reply.error) for word in allowed)
    ]
    assert not unexpected, "\n".join(unexpected)
    assert sum(reply.answer is not None for reply in replies) > 15
