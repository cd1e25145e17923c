"""Owns PostgreSQL as an engine: connecting, the connect probe, the remedies. Knows no schedule and no verdict."""

from __future__ import annotations

from dataclasses import replace

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Measurement
from dbwatch.engines.hosts import Hosts
from dbwatch.engines.libpq.connect import open_connection
from dbwatch.engines.libpq.reach import reach
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.cluster import Clusters
from dbwatch.engines.postgres.session import PostgresSession
from dbwatch.errors import CheckError
from dbwatch.model import Engine, Facts, RawRow, Reason
from dbwatch.template import Template

_GRANT = Template.parse("GRANT {privilege:ident} TO {user:ident};")
_EXTENSION = Template.parse("CREATE EXTENSION {extension:ident};  -- in database {database:ident}")
_PRELOADED = frozenset({"pg_stat_statements"})
_OF_CONSOLE = "use SHOW HELP"


class PostgresAdapter:
    """See `engines.base.Adapter`. One a lane: it holds what the target's probes remember."""

    engine = Engine.POSTGRES

    def __init__(self, clusters: Clusters | None = None, hosts: Hosts | None = None) -> None:
        self._clusters = clusters if clusters is not None else Clusters()
        self._hosts = hosts if hosts is not None else Hosts()
        self._memory = Memory()

    def connect(self, target: Target, deadline: Deadline) -> PostgresSession:
        return PostgresSession(target, open_connection(target, deadline), self._memory, self._clusters, self._hosts)

    def reach(self, target: Target, deadline: Deadline) -> Measurement:
        measured = reach(target, deadline)
        rows: tuple[RawRow, ...] = tuple({**row, "message": _told(str(row["message"]))} for row in measured.rows)
        return replace(measured, rows=rows)

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


def _told(message: str) -> str:
    """What the console of a PgBouncer says to a query, for those who took it for a database."""
    if _OF_CONSOLE not in message:
        return message
    return "the console of a PgBouncer answers there: engine pgbouncer watches it; its databases have other names"
