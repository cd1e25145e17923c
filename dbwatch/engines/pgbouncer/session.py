"""Owns one held connection to the console: facts, and one check at a time. Used by one thread; `abort` by any."""

from __future__ import annotations

import contextlib
import os
import socket
import time

import psycopg

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Answer, Measurement
from dbwatch.engines.libpq.arrival import ended_quietly
from dbwatch.engines.memory import Memory
from dbwatch.engines.pgbouncer.console import Connection, Console
from dbwatch.engines.pgbouncer.facts import facts_of
from dbwatch.engines.pgbouncer.fields import rows_of
from dbwatch.engines.pgbouncer.probe import ProbeContext, Rows
from dbwatch.engines.pgbouncer.probes import PROBES
from dbwatch.engines.pgbouncer.process import Process, process_behind
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import Facts, Reason


class PgBouncerSession:
    """A connection that answers checks until it is closed. A SHOW that is refused ends nothing but its check."""

    def __init__(self, target: Target, connection: Connection, memory: Memory) -> None:
        self._target = target
        self._connection = connection
        self._memory = memory
        self._step = "facts"
        self._console = Console(connection, self._at)
        self._known: Facts | None = None

    @property
    def facts(self) -> Facts:
        if self._known is None:
            raise RuntimeError("the facts are read by refresh() first")
        return self._known

    @property
    def step(self) -> str:
        return self._step

    @property
    def closed(self) -> bool:
        return self._connection.closed or self._connection.broken

    @property
    def lost(self) -> bool:
        return self.closed or ended_quietly(self._connection)

    def refresh(self, deadline: Deadline) -> Facts:
        self._console.begin(deadline)
        version = self._console.show("SHOW VERSION")
        try:
            config = self._console.show("SHOW CONFIG")
        except Skipped:
            config = None
        self._known = facts_of(version, config, self._target)
        return self._known

    def measure(self, check: Check, deadline: Deadline) -> Measurement:
        self._console.begin(deadline)
        rows = self._rows(check)
        return Measurement(
            rows[: check.limit], self._console.seconds, time.monotonic(), truncated=len(rows) > check.limit
        )

    def look(self, question: str, deadline: Deadline, *, limit: int) -> Answer:
        self._console.begin(deadline)
        shown = self._console.show(" ".join(question.rstrip("; ").upper().split()))
        rows = tuple(tuple(row.values()) for row in shown.rows)
        return Answer(shown.columns, rows[:limit], truncated=len(rows) > limit)

    def cancel(self) -> None:
        """The console cannot be interrupted: it answers at once, or PgBouncer hangs and `abort` leaves it."""

    def abort(self) -> None:
        # A descriptor of our own: closing the connection's would take it from under the poll of the other thread.
        with (
            contextlib.suppress(psycopg.Error, OSError),
            socket.socket(fileno=os.dup(self._connection.fileno())) as twin,
        ):
            twin.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()

    def _at(self, step: str) -> None:
        self._step = step

    def _rows(self, check: Check) -> Rows:
        if check.command is not None:
            return rows_of(check, self._console.show(check.command), self._target)
        probe = PROBES.get(check.probe or "")
        if probe is None:
            message = f"the PgBouncer engine has no probe {check.probe}; it has {', '.join(sorted(PROBES))}"
            raise CheckError(Reason.ERROR, message, step="probe")
        context = ProbeContext(
            show=self._console.show,
            process=self._process,
            facts=self.facts,
            check=check,
            target=self._target,
            memory=self._memory,
        )
        return probe(context)

    def _process(self) -> Process:
        return process_behind(self._connection.fileno())
