"""Owns one PostgreSQL session: the held connection, and what is asked over it and its spare. Knows no schedule."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import replace

import psycopg

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Scope
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Answer, Measurement
from dbwatch.engines.hosts import Hosts
from dbwatch.engines.libpq.arrival import ended_quietly
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.cluster import Cluster, Clusters
from dbwatch.engines.postgres.databases import Databases, in_turn
from dbwatch.engines.postgres.facts import MOST_DATABASES, read_extensions, read_facts
from dbwatch.engines.postgres.guard import Transaction, guarded
from dbwatch.engines.postgres.prepared import Prepared
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes import PROBES
from dbwatch.engines.postgres.survey import DatabaseSurvey, Survey, survey_database, survey_role
from dbwatch.engines.roundtrip import RoundTrip
from dbwatch.errors import CheckError, ConnectionLost, Skipped
from dbwatch.model import Facts, RawRow, Reason, Role

_CANCEL_SECONDS = 1.0
_MORE_BEGINNINGS = 3
_OFTEN_SECONDS = 300.0
"""Six runs or more in the life of a session: worth a place in the server's memory for the plan."""


class PostgresSession:
    """Used by one thread; `cancel` and `abort` by any."""

    def __init__(
        self,
        target: Target,
        connection: psycopg.Connection[tuple[object, ...]],
        memory: Memory,
        clusters: Clusters,
        hosts: Hosts,
    ) -> None:
        self._target = target
        self._main = connection
        self._memory = memory
        self._clusters = clusters
        self._hosts = hosts
        self._cluster: Cluster | None = None
        self._databases = Databases(target, self._at)
        self._prepared = Prepared()
        self._round_trip = RoundTrip()
        self._step = "facts"
        self._cancelled = False
        self._known: Facts | None = None
        self._facts_by_database: dict[str, Facts] = {}

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
        return self._main.closed or self._main.broken

    @property
    def lost(self) -> bool:
        return self.closed or ended_quietly(self._main)

    def refresh(self, deadline: Deadline) -> Facts:
        self._known = self._read_facts(deadline)
        self._cluster = self._clusters.of(self._known.system_identifier)
        self._facts_by_database = {self._known.database: self._known}
        return self._known

    def measure(self, check: Check, deadline: Deadline) -> Measurement:
        if check.scope is Scope.INSTANCE:
            return self._measure_on(self._main, check, self.facts, deadline)
        with self._databases.visiting():
            return in_turn(
                self._databases.watched(self.facts),
                lambda name: self._measure_database(name, check, deadline),
                deadline,
                is_lost=lambda: self.closed,
                limit=check.limit,
                more=len(self.facts.databases) >= MOST_DATABASES,
            )

    def survey(self, deadline: Deadline) -> Survey:
        """What our role sees, on the whole and in each watched database. Raises CheckError."""
        with guarded(self._main, deadline, self._at) as transaction:
            found = survey_role(transaction.fetch, self._main.info.backend_pid)
        with self._databases.visiting():
            names = self._databases.watched(self.facts)
            return replace(found, databases=tuple(self._survey_of(name, deadline) for name in names))

    def look(self, question: str, deadline: Deadline, *, limit: int) -> Answer:
        with guarded(self._main, deadline, self._at) as transaction:
            return transaction.look(question, limit=limit)

    def cancel(self) -> None:
        self._cancelled = True
        for connection in self._connections():
            with contextlib.suppress(psycopg.Error, OSError):
                connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def abort(self) -> None:
        for connection in self._connections():
            # A descriptor of our own: closing the connection's would take it from under the poll of the other thread.
            with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as twin:
                twin.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for connection in self._connections():
            connection.close()

    def _connections(self) -> list[psycopg.Connection[tuple[object, ...]]]:
        return [connection for connection in (self._main, self._databases.spare) if connection is not None]

    def _at(self, step: str) -> None:
        self._step = step

    def _read_facts(self, deadline: Deadline) -> Facts:
        with guarded(self._main, deadline, self._at) as transaction:
            return read_facts(transaction.fetch, self._target.address)

    def _measure_on(
        self, connection: psycopg.Connection[tuple[object, ...]], check: Check, facts: Facts, deadline: Deadline
    ) -> Measurement:
        """Asks once more after a cancel that came early and not from us.

        A role or a database may have a statement_timeout of a millisecond, which ends `begin` before our own limit is
        set; the server may tell of it only at the next statement. A person who cancels us does it twice.
        """
        budget = deadline.remaining
        self._cancelled = False
        try:
            return self._measure_once(connection, check, facts, deadline)
        except CheckError as error:
            early = error.reason is Reason.TIMEOUT and deadline.remaining > budget / 2
            if not early or self._cancelled or connection.closed:
                raise
        return self._measure_once(connection, check, facts, deadline)

    def _measure_once(
        self, connection: psycopg.Connection[tuple[object, ...]], check: Check, facts: Facts, deadline: Deadline
    ) -> Measurement:
        with guarded(
            connection,
            deadline,
            self._at,
            with_position=self._cluster is not None,
            privilege=check.requires.privilege,
            prepared=self._prepared if connection is self._main else None,
            kept_as=check.name if check.every <= _OFTEN_SECONDS else None,
            round_trip=self._round_trip,
        ) as transaction:
            self._tell_position(transaction)
            self._follow_role(check, transaction)
            if not transaction.is_privileged:
                # The facts may be minutes old; what we may no longer see would be counted as not there.
                raise Skipped(Reason.PRIVILEGE, f"needs {check.requires.privilege}, {facts.user} has lost it")
            # The facts may be minutes old; the role must not be.
            rows = self._rows(check, replace(facts, role=self.facts.role), transaction)
            read_at = time.monotonic()
        truncated = transaction.truncated or len(rows) > check.limit
        return Measurement(tuple(rows[: check.limit]), transaction.database_seconds, read_at, truncated)

    def _rows(self, check: Check, facts: Facts, transaction: Transaction) -> list[RawRow]:
        if check.probe is not None:
            probe = PROBES.get(check.probe)
            if probe is None:
                raise CheckError(Reason.BAD_RESULT, f"PostgreSQL has no probe {check.probe}", step="plan")
            context = ProbeContext(
                transaction.fetch,
                transaction.attempt,
                lambda: transaction.remaining,
                facts,
                check,
                self._target,
                self._memory,
                self._cluster,
                self._hosts,
            )
            return list(probe(context))
        sql = check.sql_for(facts.version)
        if sql is None:
            raise Skipped(Reason.VERSION, f"has no SQL for version {facts.version_text}")
        if check.only_if is not None and not transaction.has(check.only_if):
            return []
        return list(transaction.fetch(sql, limit=check.limit, is_fixed=True))

    def _tell_position(self, transaction: Transaction) -> None:
        """Every look at a primary tells where its log is: the standbys' lag is read off that."""
        if self._cluster is not None and transaction.flushed_lsn is not None:
            self._cluster.clock.tick(self._target.name, transaction.flushed_lsn, transaction.began)

    def _follow_role(self, check: Check, transaction: Transaction) -> None:
        """The role is read in the transaction of the check itself: a promotion changes the plan at once."""
        role = Role.STANDBY if transaction.in_recovery else Role.PRIMARY
        if role is not self.facts.role:
            self._known = replace(self.facts, role=role)
        if check.requires.role is not None and check.requires.role is not role:
            raise Skipped(Reason.ROLE, f"runs on a {check.requires.role}, this is a {role}")

    def _measure_database(self, name: str, check: Check, deadline: Deadline) -> Measurement:
        """Begins anew where the owner of the database has us ended for idling in a transaction for a millisecond."""
        for _ in range(_MORE_BEGINNINGS):
            try:
                return self._measure_database_once(name, check, deadline)
            except ConnectionLost as error:
                if error.step != "begin" or self.closed or deadline.passed:
                    raise
                self._databases.close_spare()
        return self._measure_database_once(name, check, deadline)

    def _measure_database_once(self, name: str, check: Check, deadline: Deadline) -> Measurement:
        connection = self._connection_to(name, deadline)
        facts = self._facts_of(name, connection, deadline)
        if check.requires.extension is not None and check.requires.extension not in facts.extensions:
            raise Skipped(Reason.EXTENSION, f"needs the extension {check.requires.extension}")
        return self._measure_on(connection, check, facts, deadline)

    def _connection_to(self, name: str, deadline: Deadline) -> psycopg.Connection[tuple[object, ...]]:
        return self._main if name == self.facts.database else self._databases.connection_to(name, deadline)

    def _survey_of(self, name: str, deadline: Deadline) -> DatabaseSurvey:
        try:
            connection = self._connection_to(name, deadline)
            with guarded(connection, deadline, self._at) as transaction:
                return survey_database(transaction.fetch, name)
        except CheckError as error:
            if self.closed or deadline.passed:
                raise
            return DatabaseSurvey(name, error=error)

    def _facts_of(self, name: str, connection: psycopg.Connection[tuple[object, ...]], deadline: Deadline) -> Facts:
        known = self._facts_by_database.get(name)
        if known is None:
            with guarded(connection, deadline, self._at) as transaction:
                known = replace(self.facts, database=name, extensions=read_extensions(transaction.fetch))
            self._facts_by_database[name] = known
        return replace(known, role=self.facts.role)
