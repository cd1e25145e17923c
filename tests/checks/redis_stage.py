"""Owns setting a Redis stage for a case: server, data, replica, sessions, faults; and clearing it afterwards."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import redis as client

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.config.loader import target_from_url
from dbwatch.model import Outcome
from tests.checks.asking import ask, with_extras
from tests.checks.cases import Expect, RedisCase, RedisFault, RedisNode, RedisServerFile, Repeat
from tests.harness import ports
from tests.harness.binaries import RedisKind
from tests.harness.certificates import self_signed
from tests.harness.freeze import frozen
from tests.harness.redis import RedisServer
from tests.harness.sentinel import Sentinel
from tests.harness.waiting import eventually


def run_case(
    check: Check, case: RedisCase, kind: RedisKind, shared: Callable[[RedisKind], RedisServer], folder: Path
) -> tuple[Outcome, Expect]:
    """Set the stage, ask the check, and clear the stage whatever happened."""
    with ExitStack() as stack:
        primary = checked = prepared = _primary(case, kind, shared, stack)
        places = {"{primary_port}": str(primary.port)}
        if case.replica or case.role == "replica":
            replica = primary.replica()
            stack.callback(replica.close)
            checked = replica if case.role == "replica" else primary
            places["{replica_port}"] = str(replica.port)
            _execute(case.replica_setup, replica)
        if case.server is not None and case.server.mode == "sentinel":
            config = {name: _filled(value, places) for name, value in case.server.config.items()}
            checked = prepared = stack.enter_context(Sentinel(primary, config=config))
        places["{port}"] = str(checked.port)
        _execute(case.setup, prepared, places)
        for text in case.sessions:
            stack.enter_context(_unanswered(checked, text))
        if case.monitor is not None:
            checked.command("ACL", "SETUSER", case.monitor.user, *case.monitor.rules)
            stack.callback(checked.command, "ACL", "DELUSER", case.monitor.user)
        _befall(case.fault_primary, primary, stack)
        _wait(case, checked)
        target = with_extras(_target(case, checked), case, folder)
        _befall(case.fault, checked, stack)
        return ask(target, check, case, lambda: _execute(case.between, prepared, places)), case.expect


def _target(case: RedisCase, server: RedisServer) -> Target:
    who = case.monitor
    target = target_from_url(server.url() if who is None else server.url(user=who.user, password=who.password))
    if case.network:
        return replace(target, host=ports.address_beyond_loopback())
    return replace(target, host=server.config["unixsocket"], port=None) if case.socket else target


def _primary(
    case: RedisCase, kind: RedisKind, shared: Callable[[RedisKind], RedisServer], stack: ExitStack
) -> RedisServer:
    wanted = case.server
    is_sentinel = wanted is not None and wanted.mode == "sentinel"
    if any((wanted and not is_sentinel, case.fault, case.fault_primary, case.replica, case.role == "replica")):
        return stack.enter_context(_own(wanted if wanted and not is_sentinel else RedisServerFile(), case, kind, stack))
    server = shared(kind)
    server.command("FLUSHALL")
    server.command("CONFIG", "RESETSTAT")
    server.command("SLOWLOG", "RESET")
    return server


def _own(wanted: RedisServerFile, case: RedisCase, kind: RedisKind, stack: ExitStack) -> RedisServer:
    """A server of the case's own, not yet started."""
    config = dict(wanted.config)
    if wanted.mode == "cluster":
        config = {"cluster-enabled": "yes", "cluster-node-timeout": "60000", **config}
    if wanted.tls is not None:
        claim = ports.claim()
        stack.callback(claim.release)
        config |= {"tls-port": str(claim.number), "tls-auth-clients": "no"}
    server = RedisServer(kind, config=config)
    if case.socket:
        server.config["unixsocket"] = str(server.dir / "redis.sock")
    if wanted.tls is not None:
        for name, days in (("tls", wanted.tls.days), ("tls-ca", wanted.tls.ca_days)):
            certificate, key = self_signed(server.dir, name, days=days)
            server.config[f"{name}-cert-file"] = str(certificate)
            if name == "tls":
                server.config["tls-key-file"] = str(key)
    if wanted.nodes:
        (server.dir / "nodes.conf").write_text(_nodes_conf(wanted.nodes, server.port))
    return server


def _nodes_conf(nodes: Sequence[RedisNode], port: int) -> str:
    """What a node writes down of its cluster. Nobody listens on the places of the others."""
    lines = []
    for number, node in enumerate(nodes, 1):
        own = port if "myself" in node.flags.split(",") else number
        primary = node.of * 40 if node.of else "-"
        address = f"127.0.0.1:{own}@{own + 10000}"
        lines.append(f"{node.id * 40} {address} {node.flags} {primary} 0 0 {number} connected {node.slots}".rstrip())
    return "\n".join([*lines, f"vars currentEpoch {len(nodes)} lastVoteEpoch 0", ""])


def _filled(text: str, places: Mapping[str, str]) -> str:
    for name, port in places.items():
        text = text.replace(name, port)
    return text


def _execute(commands: Sequence[str | Repeat], server: RedisServer, places: Mapping[str, str] | None = None) -> None:
    if not commands:
        return
    with server.connect() as session:
        for command in commands:
            repeat = command if isinstance(command, Repeat) else Repeat(command=command)
            with session.pipeline(transaction=False) as pipeline:
                for number in range(repeat.repeat):
                    text = repeat.command.replace("{i}", str(number))
                    pipeline.execute_command(*shlex.split(_filled(text, places or {})))
                # A case may want a command to fail, as a write beyond maxmemory.
                pipeline.execute(raise_on_error=False)


@contextmanager
def _unanswered(server: RedisServer, text: str) -> Iterator[None]:
    with server.connect() as session:
        connection = session.connection_pool.get_connection()
        connection.send_command(*shlex.split(text))
        try:
            yield
        finally:
            connection.disconnect()


def _wait(case: RedisCase, server: RedisServer) -> None:
    if case.wait_until is None:
        return
    wait = case.wait_until
    words = shlex.split(wait.command)

    def answered() -> bool:
        try:
            answer = server.command(*words)
        except client.ResponseError as error:
            answer = error
        text = "\n".join(f"{k}:{v}" for k, v in answer.items()) if isinstance(answer, dict) else str(answer)
        return re.search(wait.like, text, re.MULTILINE) is not None

    eventually(answered, timeout=20, what=f"{wait.command} is like {wait.like}")


def _befall(fault: RedisFault | None, server: RedisServer, stack: ExitStack) -> None:
    if fault is None:
        return
    if fault.freeze:
        stack.enter_context(frozen(server.pid))
    if fault.stop or fault.restart:
        server.stop()
    if fault.restart:
        server.start(wait=False)
        eventually(lambda: server.info("server"), ignoring=client.ConnectionError, what="an answer after the restart")
