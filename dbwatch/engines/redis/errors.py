"""Owns the translation of everything redis-py and the server can answer into our reasons. The only place that does.

The messages name the step and the remedy in words; what the server said is quoted only where it adds
something.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

import redis

from dbwatch.config import Target
from dbwatch.engines.redis.commands import acl_rule
from dbwatch.errors import CheckError, ConnectionLost, Skipped, TargetError
from dbwatch.model import Reason
from dbwatch.secret import Secret, scrub

_FULL = "max number of clients"
_NOT_READY = {
    "LOADING": "it is loading its data from disk and answers nobody until that is done",
    "MASTERDOWN": "it is a replica without its primary, and replica-serve-stale-data is off, so it answers nobody",
    "BUSY": "a script or function blocks it; SCRIPT KILL or FUNCTION KILL ends one that has not written",
}
_ERRNO_REASONS = {
    errno.ECONNREFUSED: (Reason.REFUSED, "refused: nothing listens there"),
    errno.ENOENT: (Reason.REFUSED, "refused: the socket file does not exist"),
    errno.EACCES: (Reason.UNREACHABLE, "denied: this user may not open the socket file"),
    errno.EHOSTUNREACH: (Reason.UNREACHABLE, "impossible: no route to the host"),
    errno.ENETUNREACH: (Reason.UNREACHABLE, "impossible: no route to the network"),
    errno.EADDRNOTAVAIL: (Reason.UNREACHABLE, "impossible: the address is not usable from here"),
    errno.ETIMEDOUT: (Reason.TIMEOUT, "unanswered: packets to it vanish"),
    errno.EMFILE: (Reason.RESOURCES, "impossible: this process has too many open files"),
    errno.ENFILE: (Reason.RESOURCES, "impossible: this machine has too many open files"),
    errno.ECONNRESET: (Reason.CONNECTION_LOST, "cut by the server or by something between"),
    errno.EPIPE: (Reason.CONNECTION_LOST, "cut by the server or by something between"),
}


def code_of(error: BaseException) -> str:
    """The first word of an error reply: NOAUTH, LOADING, NOPERM…; empty when the error is no reply."""
    status = getattr(error, "status_code", None)
    if isinstance(status, str):
        return status
    first = str(error).partition(" ")[0]
    return first if isinstance(error, redis.ResponseError) and first.isupper() else ""


def target_error(error: BaseException, phase: str, target: Target, password: Secret | None = None) -> TargetError:
    """Why a connection attempt ended. `phase` is the step it had come to.

    A server without AUTH answers with what it was sent, so the password is taken out of every answer.
    """
    where = target.address
    code, text = code_of(error), scrub(str(error), password)
    if code in _NOT_READY:
        return TargetError(Reason.NOT_READY, phase, f"{where} is not ready: {_NOT_READY[code]}")
    if _FULL in text:
        message = f"{where} has as many clients as maxclients allows and takes no more"
        return TargetError(Reason.TOO_MANY_CONNECTIONS, phase, message)
    if code == "DENIED":
        message = f"{where} is in protected mode: it takes only local clients until it has a password or a `bind`"
        return TargetError(Reason.AUTH, phase, message)
    if (refused := _login_problem(code, text, target)) is not None:
        return TargetError(Reason.AUTH, phase, f"{where} {refused}")
    if isinstance(error, redis.InvalidResponse):
        message = f"what listens on {where} does not speak the Redis protocol"
        return TargetError(Reason.ERROR, phase, message)
    if isinstance(error, redis.ResponseError):
        return TargetError(Reason.ERROR, phase, f"{where} answered: {text}")
    reason, what = _network_problem(error, phase)
    if reason is Reason.CONNECTION_LOST and not target.tls:
        what += "; if it wants TLS, write rediss:// in the URL"
    if reason is Reason.TLS:
        phase = "tls"
    elif reason is Reason.TIMEOUT and target.tls and phase == "connect":
        what += "; does that port speak TLS?"  # a plain Redis waits for the end of the line that our hello never has
    return TargetError(reason, phase, f"the connection to {where} is {what}")


def first_command_error(error: CheckError, phase: str, target: Target) -> TargetError:
    """The error of the first command, as the end of the connection attempt that it is part of."""
    cause = error.__cause__
    if cause is not None and error.reason is not Reason.TIMEOUT:
        reached = target_error(cause, phase, target)
        if reached.reason is Reason.AUTH:
            reached.phase = "auth"  # without a password nothing is refused before the first command
        return reached
    return TargetError(error.reason, phase, f"{target.address}: {error}")


def check_error(error: BaseException, command: str, user: str) -> CheckError:
    """Why a command gave no answer. ConnectionLost when the connection is of no more use."""
    code, text = code_of(error), str(error)
    # redis-py closes the connection on LOADING, NOAUTH and a full server, as if the network had failed.
    kind = ConnectionLost if isinstance(error, redis.ConnectionError) else CheckError
    if code == "NOPERM":
        message = f"the user {user} may not run {command}; allow it: ACL SETUSER {user} {acl_rule(command)}"
        return Skipped(Reason.PRIVILEGE, message, step=command)
    if code in ("NOAUTH", "WRONGPASS", "DENIED"):
        return ConnectionLost(Reason.AUTH, "the server does not let us in any more", step=command)
    if code in _NOT_READY:
        return kind(Reason.NOT_READY, f"the server is not ready: {_NOT_READY[code]}", step=command)
    if _FULL in text:
        return kind(Reason.TOO_MANY_CONNECTIONS, "the server has as many clients as maxclients allows", step=command)
    if "unknown command" in text.lower() or "unknown subcommand" in text.lower():
        message = f"this server has no {command}: it is renamed, or the service does not offer it"
        return Skipped(Reason.PLATFORM, message, step=command)
    if isinstance(error, redis.ResponseError):
        return CheckError(Reason.ERROR, f"{command} answered: {text}", step=command)
    if _is_timeout(error):
        return ConnectionLost(Reason.TIMEOUT, f"no answer to {command} in time; the connection was shut", step=command)
    if isinstance(error, redis.InvalidResponse):
        return ConnectionLost(Reason.BAD_RESULT, f"the answer to {command} is not of the Redis protocol", step=command)
    return ConnectionLost(Reason.CONNECTION_LOST, f"the server closed the connection during {command}", step=command)


def _login_problem(code: str, text: str, target: Target) -> str | None:
    lowered = text.lower()
    user = target.user or "default"
    if code == "NOAUTH" or "authentication required" in lowered:
        return "wants a password, and none is configured for this target"
    if "without any password configured" in lowered or "no password is set" in lowered:
        return (
            "has no password for the default user, yet one is configured for this target; remove it, or name the user"
        )
    if code == "WRONGPASS" or "invalid password" in lowered or "invalid username" in lowered:
        return f"refuses the user {user} with this password, or the user is off"
    if code == "NOPERM":
        return f"lets the user {user} in but refuses the first command"
    return None


def _network_problem(error: BaseException, phase: str) -> tuple[Reason, str]:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Reason.TLS, f"not trusted: {cause.verify_message or 'the certificate cannot be verified'}"
        if isinstance(cause, ssl.SSLError):
            detail = (cause.reason or str(cause)).replace("_", " ").lower()
            return Reason.TLS, f"not possible over TLS: {detail}; does that port speak TLS?"
        if isinstance(cause, socket.gaierror):
            return Reason.DNS, "impossible: the name cannot be resolved"
        if _is_timeout(cause):
            return Reason.TIMEOUT, f"unanswered: nothing came in time at step {phase}"
        if isinstance(cause, OSError) and cause.errno in _ERRNO_REASONS:
            return _ERRNO_REASONS[cause.errno]
    return Reason.CONNECTION_LOST, f"closed by the server at step {phase}"


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, redis.TimeoutError | TimeoutError)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from: redis-py keeps the operating system's error only there."""
    current: BaseException | None = error
    for _ in range(8):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def no_database(target: Target) -> TargetError:
    """The URL names a database number that the server does not have."""
    message = f"{target.address} has no database {target.database}; the setting `databases` says how many there are"
    return TargetError(Reason.NO_DATABASE, "select", message)


def is_loading(error: TargetError) -> bool:
    """Whether the server is on its way up: it will answer as soon as its data are read."""
    return error.reason is Reason.NOT_READY and _NOT_READY["LOADING"] in str(error)
