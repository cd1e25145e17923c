"""Owns PostgreSQL as an engine: connecting, the connect probe, the remedies. Knows no schedule and no verdict."""

from __future__ import annotations

import time

import psycopg

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Measurement
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.cluster import Clusters
from dbwatch.engines.postgres.connect import Phases, answer, open_connection
from dbwatch.engines.postgres.errors import translate
from dbwatch.engines.postgres.session import PostgresSession
from dbwatch.errors import CheckError, TargetError
from dbwatch.model import Engine, Facts, Reason
from dbwatch.template import Template
from dbwatch.units import duration_text

_GRANT = Template.parse("GRANT {privilege:ident} TO {user:ident};")
_EXTENSION = Template.parse("CREATE EXTENSION {extension:ident};  -- in database {database:ident}")
_PRELOADED = frozenset({"pg_stat_statements"})


class PostgresAdapter:
    """See `engines.base.Adapter`. One a lane: it holds what the target's probes remember."""

    engine = Engine.POSTGRES

    def __init__(self, clusters: Clusters | None = None) -> None:
        self._clusters = clusters if clusters is not None else Clusters()
        self._memory = Memory()

    def connect(self, target: Target, deadline: Deadline) -> PostgresSession:
        return PostgresSession(target, open_connection(target, deadline), self._memory, self._clusters)

    def reach(self, target: Target, deadline: Deadline) -> Measurement:
        phases = Phases()
        failure: TargetError | None = None
        try:
            with open_connection(target, deadline, phases=phases) as connection:
                phases.enter("query")
                answer(connection.pgconn, deadline)
        except TargetError as error:
            failure = error
        except psycopg.Error as error:
            lost = translate(error, "query", broken=True)
            failure = TargetError(lost.reason, "query", str(lost))
        failed_phase = phases.current if failure is not None else None
        phases.finish()
        seconds = {
            f"{phase}_seconds": phases.seconds.get(phase) for phase in ("resolve", "connect", "tls", "auth", "query")
        }
        if failed_phase is not None:
            # A phase that did not end has no duration; how long we waited says nothing about the server.
            seconds[f"{failed_phase}_seconds"] = None
        row: dict[str, object] = {
            "up": failure is None,
            "starting": failure is not None and failure.reason is Reason.NOT_READY,
            **seconds,
            "phase": failure.phase if failure is not None else None,
            "reason": str(failure.reason) if failure is not None else None,
            "message": str(failure) if failure is not None else _told(phases),
        }
        return Measurement((row,), 0.0, time.monotonic())

    def remedy(self, error: CheckError, check: Check, facts: Facts) -> str | None:
        if error.remedy is not None:
            return error.remedy
        match error.reason:
            case Reason.PRIVILEGE:
                privilege = check.requires.privilege or "pg_read_all_data"
                return _GRANT.render({"privilege": privilege, "user": facts.user})
            case Reason.EXTENSION if check.requires.extension is not None:
                name = check.requires.extension
                statement = _EXTENSION.render({"extension": name, "database": facts.database})
                needs_preload = name in _PRELOADED and name not in facts.settings.get("shared_preload_libraries", "")
                if name in facts.extensions:
                    return f"add {name} to shared_preload_libraries and restart the server"
                return (
                    f"{statement} after shared_preload_libraries = '{name}' and a restart"
                    if needs_preload
                    else statement
                )
            case Reason.STATISTICS:
                return "ANALYZE;"
            case _:
                return None


def _told(phases: Phases) -> str:
    """How long a connection that succeeded took, and where most of it went: the words of a slow one."""
    slowest = max(phases.seconds, key=lambda phase: phases.seconds[phase])
    total, most = sum(phases.seconds.values()), phases.seconds[slowest]
    return f"connected and answered in {duration_text(total)}, {duration_text(most)} of it in step {slowest}"
