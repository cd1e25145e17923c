"""Owns reading a target's URL into its parts. Opens nothing; errors never quote the password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, unquote

from dbwatch.model import Engine
from dbwatch.secret import Secret

_SCHEMES = {
    "postgresql": (Engine.POSTGRES, False),
    "postgres": (Engine.POSTGRES, False),
    "redis": (Engine.REDIS, False),
    "rediss": (Engine.REDIS, True),
    "valkey": (Engine.REDIS, False),
    "valkeys": (Engine.REDIS, True),
    "unix": (Engine.REDIS, False),
    "pgbouncer": (Engine.PGBOUNCER, False),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_DEFAULT_PORTS = {Engine.POSTGRES: 5432, Engine.REDIS: 6379, Engine.PGBOUNCER: 6432}
CONSOLE = "pgbouncer"
"""The database that is PgBouncer's own console."""
SCHEMES = ", ".join(f"{scheme}://" for scheme in _SCHEMES)


class UrlError(ValueError):
    """The text is not a URL of a server we know."""


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """The parts of a URL, percent-decoded. `host` may be a comma-separated list or a socket directory."""

    engine: Engine
    host: str
    port: int | None
    database: str
    user: str
    password: Secret | None
    options: Mapping[str, str] = field(repr=False)
    tls: bool


def is_url(text: str) -> bool:
    return "://" in text


def parse_url(text: str) -> ServerUrl:
    """Read a postgresql://, redis://, rediss://, unix:// or pgbouncer:// URL. Raises UrlError with a remedy."""
    scheme, separator, rest = text.strip().partition("://")
    # SQLAlchemy names its driver in the scheme, as in postgresql+psycopg://; the server is the same.
    kind, _, driver = scheme.lower().partition("+")
    known = _SCHEMES.get(kind) if not driver or (kind.startswith("postgres") and driver.isidentifier()) else None
    if not separator or known is None:
        shown = f"{scheme}://" if separator and scheme.isalnum() else "this"
        raise UrlError(f"{shown} is not a kind of URL dbwatch knows; it knows {SCHEMES}")
    engine, tls = known
    rest, _, fragment = rest.partition("#")
    if fragment:
        raise UrlError("the URL holds a # ; write it as %23 inside a user name or a password")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    userinfo, at, hostport = netloc.rpartition("@")
    if "@" in path or ("@" in query and not at):
        raise UrlError(
            "the URL has an @ after the first / or ? ; inside a user name or a password write @ as %40, "
            "/ as %2F and ? as %3F"
        )
    user, colon, password = userinfo.partition(":")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if scheme.lower() == "unix":
        host, port, database = slash + unquote(path), None, options.pop("db", "0")
    else:
        host, port = _host_and_port(hostport, engine)
        database = unquote(path)
    if engine in (Engine.POSTGRES, Engine.PGBOUNCER):
        host, port = _option_host(options, host, port)
        user = user or options.pop("user", "")
        database = database or options.pop("dbname", "")
    if engine is Engine.REDIS and database and not database.isdecimal():
        raise UrlError("what follows the / of a Redis URL is the number of a database, for example /0")
    if options.get("sslmode", "prefer") not in SSL_MODES:
        raise UrlError(f"the sslmode of the URL is none of {', '.join(SSL_MODES)}")
    if _CONTROL.search("".join((host, database, unquote(user)))):
        raise UrlError("the URL holds a control character in its host, user or database")
    secret = Secret(unquote(password)) if colon else None
    if secret is None and "password" in options:
        secret = Secret(options.pop("password"))
    url = ServerUrl(engine, host, port, database, unquote(user), secret, options, tls)
    return console_url(url) if engine is Engine.PGBOUNCER else url


def console_url(url: ServerUrl) -> ServerUrl:
    """A PostgreSQL URL as that of the PgBouncer that answers there. Raises UrlError when it names another database."""
    if url.database not in ("", CONSOLE):
        raise UrlError(f"what follows the / of a PgBouncer URL is {CONSOLE}, the name of its console")
    port = url.port or _DEFAULT_PORTS[Engine.PGBOUNCER]  # libpq would look for a socket by PostgreSQL's own number
    return replace(url, engine=Engine.PGBOUNCER, port=port, database=CONSOLE)


def _host_and_port(hostport: str, engine: Engine) -> tuple[str, int | None]:
    if "," in hostport:
        pairs = [_host_and_port(part, engine) for part in hostport.split(",")]
        ports = {port for _, port in pairs}
        if len(ports) > 1:
            raise UrlError("the URL lists hosts with different ports; name each server as a target of its own")
        return ",".join(host for host, _ in pairs), pairs[0][1]
    if hostport.startswith("["):
        host, bracket, port = hostport[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise UrlError("the IPv6 address in the URL is not closed with ]")
        port = port[1:]
    else:
        host, _, port = hostport.partition(":")
    host = unquote(host)
    if not port:
        return host, None if host.startswith("/") else _DEFAULT_PORTS[engine]
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise UrlError("the port in the URL is not a number from 1 to 65535")
    return host, int(port)


def _option_host(options: dict[str, str], host: str, port: int | None) -> tuple[str, int | None]:
    host = host or options.pop("host", "")
    text = options.pop("port", "")
    if not text:
        # libpq takes a service's port only where nobody named one.
        named = bool(host) or "service" not in options or port != _DEFAULT_PORTS[Engine.POSTGRES]
        return host, port if named else None
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise UrlError("the port in the URL is not a number from 1 to 65535")
    return host, int(text)
