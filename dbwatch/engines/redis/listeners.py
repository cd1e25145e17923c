"""Owns finding out who may reach a server and how: its listeners, a stranger's knock, plain text. Judges nothing.

INFO tells the listeners from Redis 7.2 and Valkey on; before, CONFIG GET does where it is allowed, and the address we
came by always tells something. Protected mode turns strangers away at the door, but never those of the same machine, so
a knock from there says nothing about it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from dbwatch.deadline import Deadline
from dbwatch.engines.redis.commands import Fields, fields_of
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.engines.resolve import resolve
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

SETTINGS = "CONFIG GET"
KEYSPACE = "DBSIZE"
"""What a stranger is let try beyond PING: it reads no key, changes nothing and counts as no lookup."""

_MOST_LISTENERS = 8
_BIND_DECIDES = (7,)
"""From this version on protected mode does not care whether `bind` was set."""


@dataclass(frozen=True, slots=True)
class _Listener:
    """One door: `tcp`, `tls` or `unix`, with the addresses it is bound to."""

    name: str
    addresses: tuple[str, ...]


def strangers(context: ProbeContext) -> Rows:
    """One row: whether somebody without credentials is let in, how far, and whether from other machines."""
    door = context.knock()
    if door is not None and door.reason is Reason.AUTH:
        return (_stranger(0.0, None, None, None, "a stranger is turned away"),)
    if door is not None and door.reason is not Reason.PRIVILEGE:
        raise door
    powerful = _powerful(context)
    if door is not None and not powerful:
        return (_stranger(0.0, None, None, None, "a stranger may do nothing, not even send PING"),)
    came_by = _came_by(context)
    if any(not _is_local(address) for address in came_by):
        where = ", ".join(came_by)
        is_public = any(_is_public(address) for address in came_by)
        return (_stranger(1.0, powerful, 1.0, float(is_public), f"through {where}"),)
    reach = _reach_from_elsewhere(context)
    return (_stranger(1.0, powerful, reach.open, reach.public, reach.text),)


def _stranger(let_in: float, powerful: float | None, beyond: float | None, public: float | None, told: str) -> RawRow:
    return {
        "let_in": let_in,
        "powerful": powerful,
        "from_elsewhere": beyond,
        "public": public,
        "told": told,
        "powers": "send PING, no more" if powerful == 0.0 else "use commands on the keys" if powerful else "send PING",
    }


def _powerful(context: ProbeContext) -> float | None:
    """Whether a stranger may use commands on the keys; None where the command to try has another name."""
    door = context.knock(KEYSPACE)
    match door.reason if door is not None else None:
        case None:
            return 1.0
        case Reason.PRIVILEGE:
            return 0.0
        case Reason.PLATFORM:
            return None
        case _:
            assert door is not None
            raise door


@dataclass(frozen=True, slots=True)
class _Reach:
    """Whether other machines get as far as we did from this one."""

    open: float
    public: float
    text: str


def _reach_from_elsewhere(context: ProbeContext) -> _Reach:
    """Raises Skipped when neither INFO nor CONFIG GET tells."""
    listeners = _listeners(context)
    if listeners is None:
        text = (
            "a stranger is let in from here; this version tells only by CONFIG GET whether it listens beyond loopback"
        )
        raise Skipped(Reason.PLATFORM, text)
    beyond = [address for listener in listeners for address in listener.addresses if not _is_local(address)]
    if not beyond:
        return _Reach(0.0, 0.0, "it listens on this machine only")
    shown, public = ", ".join(beyond), float(any(_is_public(address) for address in beyond))
    guarded = _setting(context, "protected-mode")
    if guarded is None:
        text = (
            f"a stranger is let in from here; CONFIG GET protected-mode would tell whether from elsewhere ({shown}) too"
        )
        raise Skipped(Reason.PLATFORM, text)
    if guarded == "yes" and (context.facts.version >= _BIND_DECIDES or not _setting(context, "bind")):
        return _Reach(0.0, 0.0, "protected mode turns other machines away")
    return _Reach(1.0, public, f"through {shown}, protected mode being off or without effect")


def plain_text(context: ProbeContext) -> Rows:
    """One row: whether other machines may come in the clear, and whether TLS is offered at all."""
    doors = _listeners(context)
    if doors is None:
        raise Skipped(Reason.PLATFORM, "this version tells only by CONFIG GET where it listens")
    open_ = [address for door in doors if door.name == "tcp" for address in door.addresses if not _is_local(address)]
    offers = any(door.name == "tls" for door in doors)
    row: RawRow = {
        "plain_addresses": float(len(open_)),
        "offers_tls": float(offers),
        "told": ", ".join(open_) or None,
    }
    return (row,)


def _listeners(context: ProbeContext) -> tuple[_Listener, ...] | None:
    """As INFO tells them, else as the settings do; None when neither does."""
    return tuple(_of_info(context.info)) or _of_settings(context)


def _of_info(info: Fields) -> Iterator[_Listener]:
    for position in range(_MOST_LISTENERS):
        line = info.get(f"listener{position}")
        if line is None:
            continue
        pairs = [piece.partition("=")[::2] for piece in line.split(",")]
        name = next((value for key, value in pairs if key == "name"), "")
        addresses = tuple(value.removeprefix("-") for key, value in pairs if key == "bind")
        yield _Listener(name, addresses if name != "unix" else ())


def _of_settings(context: ProbeContext) -> tuple[_Listener, ...] | None:
    bind, port, tls_port = (_setting(context, name) for name in ("bind", "port", "tls-port"))
    if bind is None or port is None:
        return None
    addresses = tuple(word.removeprefix("-") for word in bind.split()) or ("*",)
    doors = (("tcp", port), ("tls", tls_port))
    return tuple(_Listener(name, addresses) for name, number in doors if number not in (None, "0"))


def _setting(context: ProbeContext, name: str) -> str | None:
    try:
        return fields_of(context.ask(SETTINGS, name)).get(name)
    except Skipped:
        return None


def _came_by(context: ProbeContext) -> tuple[str, ...]:
    """The addresses behind the target's host; none for a socket file."""
    host = context.target.host or "localhost"
    if host.startswith("/"):
        return ()
    return resolve(host, context.target.port, Deadline.after(context.remaining()))


def _is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address == "localhost"


def _is_public(address: str) -> bool:
    """True of an address that the whole internet can route to; `*` may be anything."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return False
