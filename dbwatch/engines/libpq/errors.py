"""Owns translating psycopg's and libpq's errors into our reasons; the only place that reads their texts.

libpq hides the SQLSTATE of a failed connection attempt (psycopg#1188), so those are told apart by text and, for other
languages than English, by asking the server once more (`startup`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg

from dbwatch.errors import CheckError, ConnectionLost, Skipped
from dbwatch.model import Reason
from dbwatch.secret import Secret, scrub

_CONNECT_TEXTS: tuple[tuple[str, Reason], ...] = (
    (
        r"starting up|shutting down|in recovery mode|not (yet )?accepting connections|recovery is in progress",
        Reason.NOT_READY,
    ),
    (
        r"too many (clients|connections)|connection slots are reserved|no more connections allowed|max_client_conn",
        Reason.TOO_MANY_CONNECTIONS,
    ),
    (r"database .* does not exist|no such database", Reason.NO_DATABASE),
    # Before TLS: the server adds whether the connection it refuses had "SSL encryption".
    (r"no pg_hba\.conf entry|pg_hba\.conf rejects", Reason.AUTH),
    (r"certificate|private key|SSL|TLS", Reason.TLS),
    (
        r"authentication failed|role .* (does not exist|is not permitted)|password|SASL",
        Reason.AUTH,
    ),
    (r"permission denied for database|does not have CONNECT privilege|no such user|FATAL: +not allowed", Reason.AUTH),
    (r"could not translate host name|Name or service not known|Temporary failure in name resolution", Reason.DNS),
    (r"Connection refused|No such file or directory", Reason.REFUSED),
    (
        r"No route to host|Network is unreachable|cannot connect to server|server login (has been failing|failed)",
        Reason.UNREACHABLE,
    ),
    (r"Too many open files|out of memory", Reason.RESOURCES),
    (r"timeout|timed out", Reason.TIMEOUT),
    (r"server closed the connection|Connection reset|Broken pipe|EOF", Reason.CONNECTION_LOST),
)
_CONNECT_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), reason) for pattern, reason in _CONNECT_TEXTS)

_QUOTED = re.compile(r'"[^"]*"')
_PREAMBLE = re.compile(r'^connection to server (at|on socket) "[^"]*"( \([^)]*\))?(, port \d+)? failed: (FATAL:  )?')

_POOLER_REASONS = frozenset({Reason.UNREACHABLE, Reason.NOT_READY, Reason.TOO_MANY_CONNECTIONS})
_LOST_STATES = ("57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04")
_REASONS_BY_STATE = {
    "57014": Reason.TIMEOUT,
    "40001": Reason.CONFLICT,
    "22021": Reason.BAD_RESULT,
    "42601": Reason.BAD_RESULT,
    "42P01": Reason.BAD_RESULT,
    "42703": Reason.BAD_RESULT,
    "42883": Reason.BAD_RESULT,
}
_NOT_SUPPORTED = "0A000"
_SKIPPED_BY_STATE = {
    "55P03": Reason.LOCK,
    "42501": Reason.PRIVILEGE,
    _NOT_SUPPORTED: Reason.PLATFORM,
    "55000": Reason.SETTING,
}


@dataclass(frozen=True, slots=True)
class Refused:
    """What the server said in place of an answer, where the transaction went on. `message` is its primary text only."""

    reason: Reason
    sqlstate: str
    message: str


def refusal(error: psycopg.Error, step: str) -> Refused:
    """An error the transaction survives, as the thing it means to whoever tried."""
    translated = translate(error, step, broken=False)
    return Refused(translated.reason, getattr(error, "sqlstate", None) or "", str(translated))


def connect_reason(message: str) -> Reason | None:
    """The reason a connection attempt failed, by libpq's text; None when the text says nothing we know.

    Names do not count: a host may be called "ssl-db", a role "password_checker".
    """
    message = _QUOTED.sub('""', message)
    for pattern, reason in _CONNECT_PATTERNS:
        if pattern.search(message):
            return reason
    return None


def lost_reason(message: str) -> Reason | None:
    """The reason an open connection failed, where a pooler says it: it lets us in and finds no server then."""
    reason = connect_reason(message)
    return reason if reason in _POOLER_REASONS else None


def clean(message: str, *secrets: Secret | None) -> str:
    """The first line of a server's or libpq's text, without secrets and without the address we know already."""
    lines = [line.strip() for line in scrub(message, *secrets).splitlines() if line.strip()]
    return _PREAMBLE.sub("", lines[0]) if lines else "no message"


def translate(error: Exception, step: str, *, broken: bool) -> CheckError:
    """A driver error inside a check, as one of ours. `broken` says that the connection did not survive it."""
    state = getattr(error, "sqlstate", None) or ""
    text = clean(str(error))
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        text = clean(error.diag.message_primary)
    if broken or state in _LOST_STATES or state.startswith("08"):
        reason = Reason.NOT_READY if state == "57P03" else lost_reason(text) or Reason.CONNECTION_LOST
        return ConnectionLost(reason, f"the connection was lost: {text}", step=step)
    if state == _NOT_SUPPORTED and isinstance(error, psycopg.Error) and error.diag.statement_position:
        return CheckError(
            Reason.BAD_RESULT, text, step=step
        )  # the parser says so of the text; a platform, of a function
    if state in _SKIPPED_BY_STATE:
        return Skipped(_SKIPPED_BY_STATE[state], text, step=step)
    if state.startswith("53"):
        return CheckError(Reason.RESOURCES, text, step=step)
    if isinstance(error, psycopg.DataError) and not state:
        return CheckError(Reason.BAD_RESULT, text, step=step)  # sent well, and Python has no such value
    return CheckError(_REASONS_BY_STATE.get(state, Reason.ERROR), text, step=step)
