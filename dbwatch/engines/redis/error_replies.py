"""Owns reading the errors that clients were answered with: how many, of which kind, and who was not let in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import number
from dbwatch.engines.redis.growth import Growth
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

_EVERYDAY: Final = frozenset({"MOVED", "ASK", "TRYAGAIN", "NOSCRIPT", "BUSYGROUP", "INPROG"})
"""Answers that are part of how clients work: they follow a redirection, or load the script and ask again."""
_MEANINGS: Final[Mapping[str, str]] = {
    "CLUSTERDOWN": "the cluster does not serve these keys",
    "MASTERDOWN": "this replica has no primary and may not answer",
    "MISCONF": "writes are refused because the data do not reach the disk",
    "NOREPLICAS": "writes are refused because too few replicas follow (min-replicas-to-write)",
    "OOM": "commands are refused because maxmemory is reached",
    "BUSY": "a script or function blocks the server",
    "CROSSSLOT": "commands name keys of several slots, which a cluster cannot do",
    "ERR": "commands that are unknown or wrongly written",
    "EXECABORT": "transactions were given up because a command in them was wrong",
    "LOADING": "the server was still loading its data",
    "NOAUTH": "commands were sent without logging in",
    "NOPERM": "a user may not run the command or touch the key",
    "READONLY": "writes were sent to a replica",
    "UNKILLABLE": "a script that has already written cannot be stopped",
    "WRONGPASS": "logins with a wrong user or password",
    "WRONGTYPE": "commands for another type of key",
}
_OTHER: Final = "other"
_GIVEN_UP: Final = "errorstat_ERRORSTATS_DISABLED"
"""Redis counts no kind any more, once it has met more than 128."""
_OVERFLOW: Final = "ERRORSTATS_OVERFLOW"
"""Valkey goes on counting the kinds it has met, and counts all new ones as this."""
_GREETINGS_EACH: Final = 3.0
_CODE: Final = re.compile(r"errorstat_(.+)\.count")


class _Requests(Growth):
    """Commands, errors, failed calls and connections at the previous look."""


class _Denials(Growth):
    """Refused commands at the previous look, and those of them that are greetings."""


def error_rate(context: ProbeContext) -> Rows:
    """One row: all error replies, those that no client expects, and how many requests came since the last look."""
    info = context.info
    total = number(info, "total_error_replies")
    if total is None:
        raise _uncounted()
    kinds = _kinds(info)
    expected = sum(kinds.get(code, 0.0) for code in _EVERYDAY) if kinds is not None else None
    grown = context.memory.of(_Requests).since(
        {
            "errors": total,
            "commands": number(info, "total_commands_processed") or 0.0,
            "failed": _failed_calls(info),
            "unknown": (kinds or {}).get("ERR", 0.0),
            "connections": number(info, "total_connections_received") or 0.0,
            "greetings": _refused_greetings(info),
        }
    )
    row: RawRow = {
        "errors": total,
        "unexpected_errors": None if expected is None else max(0.0, total - expected),
        "uncounted_kinds": float(kinds is None),
        "recent_requests": None if grown is None else _requests(grown),
        "greeting_errors": None if grown is None else _greeting_errors(grown),
    }
    return (row,)


def errors_by_kind(info: Fields) -> Rows:
    """A row for each kind we know, at zero too, so that its first error is seen; the rest is one row."""
    if "total_error_replies" not in info:
        raise _uncounted()
    kinds = _kinds(info)
    if kinds is None:
        text = "clients were answered with too many kinds of error, so the server has stopped counting them apart"
        raise Skipped(Reason.STATISTICS, text, remedy="CONFIG RESETSTAT makes it count anew")
    never = None if _OVERFLOW in kinds else 0.0
    rows: list[RawRow] = [
        {"error": code, "replies": kinds.get(code, never), "meaning": meaning} for code, meaning in _MEANINGS.items()
    ]
    others = {code: count for code, count in kinds.items() if code not in _MEANINGS and code not in _EVERYDAY}
    rows.append({"error": _OTHER, "replies": sum(others.values()), "meaning": _others_text(others)})
    return tuple(rows)


def denials(context: ProbeContext) -> Rows:
    """Logins, commands, keys and channels that were refused. Before 7.2 only the error replies tell, less exactly."""
    info = context.info
    kinds = _kinds(info) if "total_error_replies" in info else None
    login, command = number(info, "acl_access_denied_auth"), number(info, "acl_access_denied_cmd")
    parts = [number(info, f"acl_access_denied_{part}") for part in ("key", "channel", "db")]
    known = [part for part in parts if part is not None]
    if login is None and kinds is None:
        raise _uncounted()
    if login is None and kinds is not None:
        login, command = kinds.get("WRONGPASS", 0.0), kinds.get("NOPERM", 0.0)
    grown = context.memory.of(_Denials).since({"commands": command or 0.0, "greetings": _refused_greetings(info)})
    row: RawRow = {
        "forbidden": None if grown is None else max(0.0, grown["commands"] - grown["greetings"]),
        "refused_logins": login,
        "refused_commands": command,
        "refused_keys": sum(known) if known else None,
        "without_login": None if kinds is None else kinds.get("NOAUTH", 0.0),
    }
    return (row,)


def _requests(grown: Mapping[str, float]) -> float:
    """A command that was refused before it ran is no command to the server, and an error all the same."""
    return grown["commands"] + max(0.0, grown["errors"] - grown["failed"])


def _greeting_errors(grown: Mapping[str, float]) -> float:
    """Errors that come with new connections: libraries try CLIENT SETINFO and the like, and go on without.

    Servers that do not know the subcommand count it only among all ERR.
    """
    unknown = min(grown["unknown"], _GREETINGS_EACH * grown["connections"])
    return unknown + grown["greetings"]


def _refused_greetings(info: Fields) -> float:
    """CLIENT SETINFO of users who may not run it."""
    return number(info, "cmdstat_client|setinfo.rejected_calls") or 0.0


def _failed_calls(info: Fields) -> float:
    counts = (number(info, name) for name in info if name.startswith("cmdstat_") and name.endswith(".failed_calls"))
    return sum(count for count in counts if count is not None)


def _kinds(info: Fields) -> Mapping[str, float] | None:
    """Error replies by their first word; None when the server has given up counting them apart."""
    if any(field.startswith(_GIVEN_UP) for field in info):
        return None
    found = {}
    for field in info:
        match = _CODE.fullmatch(field)
        count = number(info, field) if match is not None else None
        if match is not None and count is not None:
            found[match[1]] = count
    return found


def _others_text(others: Mapping[str, float]) -> str:
    """The commonest of the kinds we have no word for. They come from scripts and modules, so they are cut short."""
    named = sorted(others, key=lambda code: (-others[code], code))[:3]
    return f"most of them {', '.join(code[:40] for code in named)}" if named else "kinds of scripts and modules"


def _uncounted() -> Skipped:
    return Skipped(Reason.VERSION, "this server does not count the errors it answers with; Redis 6.2 and later do")
