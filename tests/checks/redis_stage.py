"""Owns setting a Redis stage for a case: server, data, replica, sessions, faults; and clearing it afterwards."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dbwatch.catalogue import Check
from dbwatch.config.loader import target_from_url
from dbwatch.model import Outcome
from tests.checks.asking import ask, with_extras
from tests.checks.cases import Expect, RedisCase, RedisFault, Repeat
from tests.harness.binaries import RedisKind
from tests.harness.freeze import frozen
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually


def run_case(
    check: Check, case: RedisCase, kind: RedisKind, shared: Callable[[RedisKind], RedisServer], folder: Path
) -> tuple[Outcome, Expect]:
    """Set the stage, ask the check, and clear the stage whatever happened."""
    with ExitStack() as stack:
        primary = _primary(case, kind, shared, stack)
        checked = primary
        if case.replica or case.role == "replica":
            replica = primary.replica()
            stack.callback(replica.close)
            checked = replica if case.role == "replica" else primary
            _execute(case.replica_setup, replica)
        ports = {"{port}": str(checked.port), "{primary_port}": str(primary.port)}
        _execute(case.setup, primary, ports)
        for text in case.sessions:
            stack.enter_context(_unanswered(checked, text))
        if case.monitor is not None:
            checked.command("ACL", "SETUSER", case.monitor.user, *case.monitor.rules)
            stack.callback(checked.command, "ACL", "DELUSER", case.monitor.user)
            url = checked.url(user=case.monitor.user, password=case.monitor.password)
        else:
            url = checked.url()
        _befall(case.fault_primary, primary, stack)
        _wait(case, checked)
        target = with_extras(target_from_url(url), case, folder)
        _befall(case.fault, checked, stack)
        return ask(target, check, case, lambda: _execute(case.between, primary, ports)), case.expect


def _primary(
    case: RedisCase, kind: RedisKind, shared: Callable[[RedisKind], RedisServer], stack: ExitStack
) -> RedisServer:
    alone = any((case.server, case.fault, case.fault_primary, case.replica, case.role == "replica"))
    if alone:
        config = case.server.config if case.server is not None else {}
        return stack.enter_context(RedisServer(kind, config=config))
    server = shared(kind)
    server.command("FLUSHALL")
    server.command("CONFIG", "RESETSTAT")
    server.command("SLOWLOG", "RESET")
    return server


def _execute(commands: Sequence[str | Repeat], server: RedisServer, ports: dict[str, str] | None = None) -> None:
    if not commands:
        return
    with server.connect() as session:
        for command in commands:
            repeat = command if isinstance(command, Repeat) else Repeat(command=command)
            with session.pipeline(transaction=False) as pipeline:
                for number in range(repeat.repeat):
                    text = repeat.command.replace("{i}", str(number))
                    for name, port in (ports or {}).items():
                        text = text.replace(name, port)
                    pipeline.execute_command(*shlex.split(text))
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
        answer = server.command(*words)
        text = "\n".join(f"{k}:{v}" for k, v in answer.items()) if isinstance(answer, dict) else str(answer)
        return re.search(wait.like, text, re.MULTILINE) is not None

    eventually(answered, timeout=20, what=f"{wait.command} is like {wait.like}")


def _befall(fault: RedisFault | None, server: RedisServer, stack: ExitStack) -> None:
    if fault is None:
        return
    if fault.freeze:
        stack.enter_context(frozen(server.pid))
    if fault.stop:
        server.stop()
