"""A server that says what a test wants it to, as a probe sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.engines.memory import Memory
from dbwatch.engines.redis.facts import facts_of
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import Engine, Reason
from tests.checks.cases import CHECKS


class Server:
    """Knows no command and lets nobody in; a test overrides what it needs."""

    def __init__(
        self, *, info: Mapping[str, str] | None = None, host: str = "127.0.0.1", version: str = "7.0.15"
    ) -> None:
        self.info = {"redis_version": version, **(info or {})}
        self.target = Target(name="cache", engine=Engine.REDIS, host=host, port=6379)
        self.memory = Memory()

    def ask(self, command: str, *arguments: str) -> object:
        raise Skipped(Reason.PRIVILEGE, f"may not run {command}", step=command)

    def knock(self, command: str = "PING") -> CheckError | None:
        return CheckError(Reason.AUTH, "wants a password")

    def context(self) -> ProbeContext:
        return ProbeContext(
            info=self.info,
            ask=self.ask,
            knock=self.knock,
            remaining=lambda: 10.0,
            facts=facts_of(self.info, self.target),
            check=_check(),
            target=self.target,
            memory=self.memory,
        )


def _check() -> Check:
    return replace(load_check(CHECKS / "redis" / "redis_slow_command.yaml", Engine.REDIS), limit=100)
