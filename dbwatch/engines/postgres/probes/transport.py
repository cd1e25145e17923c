"""Owns counting the sessions that reach the server from other hosts, and those of them in plain text. Judges nothing.

An address is another host's unless it is loopback, one the server listens on by name, or, when our own session comes
from the server's machine, one of that machine. Addresses are looked at and not shown.
"""

from __future__ import annotations

import ipaddress
import socket
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import text, whole
from dbwatch.model import RawRow

_MOST_ADDRESSES = 5_000
_DISCARD = 9
_EVERYWHERE = ("*", "0.0.0.0", "::")  # noqa: S104 - what a server listens on; nothing is bound here

_SESSIONS = """
-- Privilege: pg_read_all_stats, else the addresses of other roles' sessions are null. A row a role, database, address.
-- A walsender carries the whole cluster and belongs to no database. GSSAPI encrypts as TLS does.
select
  coalesce(a.usename, a.usesysid::text) as role,
  a.datname::text as database,
  pg_catalog.host(a.client_addr) as address,
  count(*) as sessions,
  count(*) filter (where not coalesce(t.ssl, false) and not coalesce(g.encrypted, false)) as plain,
  min(nullif(a.application_name, '')) as program
from pg_catalog.pg_stat_activity as a
left join pg_catalog.pg_stat_ssl as t on t.pid = a.pid
left join pg_catalog.pg_stat_gssapi as g on g.pid = a.pid
where a.backend_type in ('client backend', 'walsender')
  and a.client_addr is not null
  and a.usesysid is not null
group by
  1,
  2,
  3
order by
  5 desc,
  1,
  2,
  3
"""

_LISTENER = """
-- needs no privilege
select
  pg_catalog.current_setting('ssl') as ssl,
  pg_catalog.current_setting('listen_addresses') as listen_addresses,
  pg_catalog.host(pg_catalog.inet_server_addr()) as server_address,
  pg_catalog.host(pg_catalog.inet_client_addr()) as client_address
"""


@dataclass(frozen=True, slots=True)
class _Listener:
    """Where the server listens, and what our own session tells about its machine."""

    offers_tls: bool
    addresses: tuple[str, ...]
    from_its_machine: bool
    own: frozenset[str]

    @property
    def open_addresses(self) -> tuple[str, ...]:
        """Those that other hosts can reach."""
        return tuple(address for address in self.addresses if not _local_name(address))

    def is_other_host(self, address: str) -> bool:
        if _local_name(address) or address in self.own:
            return False
        return not (self.from_its_machine and is_our_address(address))


@dataclass(slots=True)
class _Sessions:
    """The sessions of one role in one database."""

    tcp: int = 0
    remote: int = 0
    plain: int = 0
    program: str | None = None


def session_without_tls(context: ProbeContext) -> Sequence[RawRow]:
    """A row for every role and database that has sessions over TCP, those with most in plain text first."""
    listener = _listener(context)
    found = _sessions(context, listener)
    rows = [
        {
            "role": role,
            "database": database,
            "plain_sessions": count.plain,
            "remote_sessions": count.remote,
            "tcp_sessions": count.tcp,
            "offers_tls": float(listener.offers_tls),
            "place": f"database {database}" if database is not None else "replication",
            "program": count.program,
        }
        for (role, database), count in found.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-int(str(row["plain_sessions"])), str(row["role"]), str(row["place"]))))


def listener_without_tls(context: ProbeContext) -> Sequence[RawRow]:
    """One row: whether the server offers TLS, where it listens, and who came in plain text."""
    listener = _listener(context)
    plain = sum(count.plain for count in _sessions(context, listener).values())
    return (
        {
            "offers_tls": float(listener.offers_tls),
            "open_addresses": len(listener.open_addresses),
            "plain_sessions": plain,
            "told": ", ".join(_told(name) for name in listener.open_addresses)
            or "no address that another host can reach",
        },
    )


def is_our_address(address: str) -> bool:
    """Whether this machine has the address: it would then be the source of a packet to it. Sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, _DISCARD))
            return str(probe.getsockname()[0]) == address
    except OSError:
        return False


def _listener(context: ProbeContext) -> _Listener:
    found = context.fetch(_LISTENER, limit=1)[0]
    names = tuple(name for part in str(found["listen_addresses"]).split(",") if (name := part.strip().strip('"')))
    server, client = text(found["server_address"]), text(found["client_address"])
    return _Listener(
        offers_tls=found["ssl"] == "on",
        addresses=names,
        from_its_machine=client is None or _local_name(client) or client == server,
        own=frozenset(name for name in (*names, server) if name is not None),
    )


def _sessions(context: ProbeContext, listener: _Listener) -> dict[tuple[str, str | None], _Sessions]:
    found: dict[tuple[str, str | None], _Sessions] = defaultdict(_Sessions)
    for row in context.fetch(_SESSIONS, limit=_MOST_ADDRESSES):
        count = found[(str(row["role"]), text(row["database"]))]
        sessions, plain = whole(row["sessions"]) or 0, whole(row["plain"]) or 0
        count.tcp += sessions
        if listener.is_other_host(str(row["address"])):
            count.remote += sessions
            count.plain += plain
            if plain and count.program is None:
                count.program = text(row["program"])
    return found


def _told(address: str) -> str:
    return "all addresses" if address in _EVERYWHERE else address


def _local_name(address: str) -> bool:
    """Whether the address, or the name that stands in `listen_addresses`, is loopback."""
    if address.lower() in ("localhost", "localhost.localdomain", "ip6-localhost"):
        return True
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
