"""Owns the seam between the runner and a kind of server. Knows no driver.

A lane holds one Session and uses it from one thread. `cancel` and `abort` alone may be called from another thread:
they are how a deadline ends a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.errors import CheckError
from dbwatch.model import Engine, Facts, RawRow

CONNECT_PROBE = "connect"


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a check read, whole. `read_at` is the monotonic clock when it was read.

    `truncated` says that the server had more rows than the check's limit. `failed` names the databases of a
    database-scoped check that could not be looked at, `hidden` those where a right, a lock or missing statistics
    kept everything from view; `part` is what they are.
    """

    rows: tuple[RawRow, ...]
    database_seconds: float = 0.0
    read_at: float = 0.0
    truncated: bool = False
    failed: Mapping[str, CheckError] = field(default_factory=dict)
    hidden: Mapping[str, CheckError] = field(default_factory=dict)
    part: str = "database"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person asked: rows as the server gave them, at most as many as wanted."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    truncated: bool = False


class Session(Protocol):
    """One open connection to one server."""

    @property
    def facts(self) -> Facts:
        """As of the last `refresh`, but for the role, which every run reads anew."""
        ...

    @property
    def step(self) -> str:
        """What the session is doing: begin, query, fetch… Names the place where a deadline struck."""
        ...

    @property
    def closed(self) -> bool: ...

    @property
    def lost(self) -> bool:
        """Whether the server has ended the session while nobody asked anything: it is to be opened anew."""
        ...

    def refresh(self, deadline: Deadline) -> Facts:
        """Read the facts anew. Raises CheckError."""
        ...

    def measure(self, check: Check, deadline: Deadline) -> Measurement:
        """Run one check. Raises CheckError; after ConnectionLost the session is closed."""
        ...

    def look(self, question: str, deadline: Deadline, *, limit: int) -> Answer:
        """One question in the engine's own language that only reads, for a person. Raises CheckError."""
        ...

    def cancel(self) -> None:
        """Ask the server to end what runs now. Any thread; may take up to a second."""
        ...

    def abort(self) -> None:
        """Shut the socket so that a blocked call ends at once. Any thread; never blocks."""
        ...

    def close(self) -> None: ...


class Adapter(Protocol):
    """One kind of server."""

    @property
    def engine(self) -> Engine: ...

    def connect(self, target: Target, deadline: Deadline) -> Session:
        """Open a session. Its facts are there after the first `refresh`. Raises TargetError."""
        ...

    def reach(self, target: Target, deadline: Deadline) -> Measurement:
        """One row about a fresh connection: `up` 1 or 0, `phase`, `reason`, `message`, phase seconds. Never raises."""
        ...

    def remedy(self, error: CheckError, check: Check, facts: Facts) -> str | None:
        """The statement that would let a skipped check run, if there is one."""
        ...
