"""Owns holding what a whole PgBouncer uses against what it may use: clients, file descriptors. Judges nothing."""

from __future__ import annotations

from typing import Final

from dbwatch.engines.pgbouncer.console import count, number, text
from dbwatch.engines.pgbouncer.facts import settings_of
from dbwatch.engines.pgbouncer.pools import pools_of
from dbwatch.engines.pgbouncer.probe import ProbeContext, Rows
from dbwatch.errors import CheckError
from dbwatch.model import Reason

_OWN_FILES: Final = 20
"""Listening sockets, log, epoll, name server: a few more than it has."""


def clients_saturated(context: ProbeContext) -> Rows:
    """One row: clients of all databases, the console's included as PgBouncer counts them, of max_client_conn."""
    return ({"clients": _clients(context), "max_clients": _max_clients(context)},)


def file_limit_low(context: ProbeContext) -> Rows:
    """One row: the open files that a PgBouncer with all its clients and all its servers needs, and may have."""
    process = context.process()
    clients = _max_clients(context)
    servers = sum((pool.size or pool.servers) + pool.reserve for pool in pools_of(context))
    return (
        {
            "needed": clients + servers + _OWN_FILES,
            "allowed": process.open_files_limit,
            "open": process.open_files,
            "clients": clients,
            "servers": servers,
        },
    )


def _clients(context: ProbeContext) -> float:
    lists = {text(row, "list"): row for row in context.show("SHOW LISTS").having("list", "items").rows}
    return count(lists.get("used_clients", {}), "items")


def _max_clients(context: ProbeContext) -> float:
    value = number(settings_of(context.show("SHOW CONFIG")), "max_client_conn")
    if value is None:
        raise CheckError(Reason.BAD_RESULT, "SHOW CONFIG has no max_client_conn", step="result")
    return value
