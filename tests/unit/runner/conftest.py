"""A check file and an adapter of our own, so that the runner is tested without any server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Answer, Measurement
from dbwatch.errors import CheckError, TargetError
from dbwatch.model import Engine, Facts, RawRow, Role
from dbwatch.runner.watchdog import Watchdog

CHECK = """\
summary: Queues that are too long
group: queues
why: Work waits.
every: 60s
timeout: {timeout}
sql: select 1
columns:
  queue: {{use: label}}
  length: {{use: gauge, metric: dbwatch_pg_{metrics}_length, help: Jobs waiting.}}
  done: {{use: counter, metric: dbwatch_pg_{metrics}_done_total, help: Jobs done.}}
  worker: {{use: detail, type: text}}
derive:
  done_rate: {{value: rate(done)}}
limit: 3
levels:
  critical: {critical}
  warning: {warning}
key: [queue]
message: "{{queue}} holds {{length:count}} jobs"
many: "{{count}} queues, {{total_length:count}} jobs"
fix: "drain {{queue:ident}}"
runbook: {{meaning: m, impact: i, diagnosis: d, mitigation: m}}
{more}
"""


def make_check(
    folder: Path,
    *,
    name: str = "long_queue",
    critical: str = "length > 100",
    warning: str = "length > 10",
    timeout: str = "10s",
    more: str = "",
    metrics: str = "queue",
) -> Check:
    path = folder / "postgres" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(CHECK.format(critical=critical, warning=warning, timeout=timeout, more=more, metrics=metrics))
    return load_check(path, Engine.POSTGRES)


def row(queue: object = "mail", length: object = 1, done: object = 0, worker: object = None) -> RawRow:
    return {"queue": queue, "length": length, "done": done, "worker": worker}


FACTS = Facts(
    engine=Engine.POSTGRES,
    version=(16, 4),
    version_text="16.4",
    role=Role.PRIMARY,
    flavour="postgresql",
    user="dbwatch",
)


@dataclass
class FakeSession:
    """Answers with what `answers` holds next: rows, an error, or something that takes the deadline."""

    answers: list[Sequence[RawRow] | Exception | Callable[[Deadline], Sequence[RawRow]]]
    facts: Facts = FACTS
    step: str = "query"
    closed: bool = False
    lost: bool = False
    clock: float = 1000.0
    cancelled: int = 0
    aborted: int = 0
    refreshed: int = 0

    def refresh(self, deadline: Deadline) -> Facts:
        self.refreshed += 1
        return self.facts

    def measure(self, check: Check, deadline: Deadline) -> Measurement:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        rows = answer(deadline) if callable(answer) else answer
        self.clock += 10.0
        return Measurement(tuple(rows), 0.002, self.clock)

    def look(self, question: str, deadline: Deadline, *, limit: int) -> Answer:
        raise NotImplementedError

    def cancel(self) -> None:
        self.cancelled += 1

    def abort(self) -> None:
        self.aborted += 1

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeAdapter:
    sessions: list[FakeSession | TargetError]
    reaches: list[RawRow] = field(default_factory=list)
    engine: Engine = Engine.POSTGRES
    connects: int = 0

    def connect(self, target: Target, deadline: Deadline) -> FakeSession:
        self.connects += 1
        session = self.sessions.pop(0)
        if isinstance(session, TargetError):
            raise session
        return session

    def reach(self, target: Target, deadline: Deadline) -> Measurement:
        return Measurement((self.reaches.pop(0),), 0.0, time.monotonic())

    def remedy(self, error: CheckError, check: Check, facts: Facts) -> str | None:
        return f"remedy for {error.reason}"


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    dog = Watchdog(grace_seconds=0.05)
    yield dog
    dog.close()


@pytest.fixture
def target() -> Target:
    return Target(name="orders", engine=Engine.POSTGRES, host="127.0.0.1", port=5432)
