"""Owns what to say and what to try when a server cannot be reached. Pure; runs nothing, holds no secret."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from dbwatch.config import Target
from dbwatch.model import Engine, Reason


@dataclass(frozen=True, slots=True)
class Advice:
    """What the reason usually means, and a command to see it for oneself."""

    meaning: str
    command: str | None = None


def advice(target: Target, reason: Reason | None) -> Advice:
    """What a person should look at first."""
    if target.engine is Engine.HOST:
        return Advice("is the machine's / mounted where `root:` says?", "ls /proc/stat")
    match reason:
        case Reason.REFUSED:
            return Advice("is the server running, and is the port right?", _ping(target))
        case Reason.UNREACHABLE:
            return Advice("no way to the host: a firewall, a security group or a route is in between", _ping(target))
        case Reason.TIMEOUT:
            return Advice(
                "the host swallows packets (a firewall), or the server is frozen or overloaded", _ping(target)
            )
        case Reason.DNS:
            return Advice("the name does not resolve from here: is it spelled right?", _lookup(target))
        case Reason.TLS:
            return Advice(
                "the two sides disagree about TLS: compare the mode, the CA file and the host name", _handshake(target)
            )
        case Reason.AUTH:
            who = f"user {target.user}" if target.user else "this user"
            return Advice(
                f"no login for {who}: check the password, where it comes from and what the server allows",
                _login(target),
            )
        case Reason.NO_DATABASE:
            return Advice("the server is up, the database is not there: is its name right?", _login(target))
        case Reason.TOO_MANY_CONNECTIONS:
            return Advice("the server is up, every connection is taken: look for a leak in an application's pool")
        case Reason.NOT_READY:
            return Advice("the server is starting, loading or shutting down: ask again in a moment", _ping(target))
        case Reason.CONNECTION_LOST:
            return Advice(
                "the server or something in between ended the session: look into the server's log", _ping(target)
            )
        case _:
            return Advice("look into the server's log for the time of this attempt", _ping(target))


def _ping(target: Target) -> str | None:
    match target.engine:
        case Engine.POSTGRES:
            return _command("pg_isready", *_postgres_place(target))
        case Engine.REDIS:
            return _command("redis-cli", *_redis_place(target), "ping")
        case Engine.PGBOUNCER:
            return _console(target)
        case _:
            return None


def _login(target: Target) -> str | None:
    match target.engine:
        case Engine.POSTGRES:
            user = ("-U", target.user) if target.user else ()
            return _command("psql", *_postgres_place(target), *user, "-l")
        case Engine.REDIS:
            user = ("--user", target.user) if target.user else ()
            return _command("redis-cli", *_redis_place(target), *user, "--askpass", "ping")
        case Engine.PGBOUNCER:
            return _console(target)
        case _:
            return None


def _lookup(target: Target) -> str | None:
    return _command("getent", "hosts", target.host.split(",")[0]) if target.host else None


def _handshake(target: Target) -> str | None:
    if target.port is None:
        return None
    host = target.host.split(",")[0] or "localhost"
    place = f"[{host}]:{target.port}" if ":" in host else f"{host}:{target.port}"
    start = ("-starttls", "postgres") if target.engine in (Engine.POSTGRES, Engine.PGBOUNCER) else ()
    return _command("openssl", "s_client", "-connect", place, *start)


def _console(target: Target) -> str:
    user = ("-U", target.user) if target.user else ()
    return _command("psql", *_postgres_place(target), *user, "-c", "show version", "pgbouncer")


def _postgres_place(target: Target) -> tuple[str, ...]:
    host = ("-h", target.host) if target.host else ()
    return (*host, "-p", str(target.port)) if target.port is not None else host


def _redis_place(target: Target) -> tuple[str, ...]:
    if target.host.startswith("/"):
        return ("-s", target.host)
    place = ("-h", target.host or "localhost", "-p", str(target.port or 6379))
    return (*place, "--tls") if target.tls else place


def _command(*words: str) -> str:
    return shlex.join(words)
