"""Owns what the lines of a pg_hba.conf mean for clients of other hosts. Pure; knows no query.

The first line that fits a client decides, so a line that an earlier one covers wholly is never reached.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NETWORK_KINDS = ("host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc")
_ENCRYPTED_KINDS = ("hostssl", "hostgssenc")
_PLAIN_PASSWORDS = ("password", "ldap", "pam", "bsd", "radius")
_EVERYWHERE = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
_LONGEST_NAMES = 120
_MOST_ADDRESSES_TOLD = 3
_NEEDS_QUOTES = re.compile(r'[\s,"#]')


@dataclass(frozen=True, slots=True)
class HostRule:
    """A line. `address` may be a name, `all`, `samehost` or `samenet`; `error` is what the server says against it.

    Of a line that the server cannot read it tells nothing else. One that it can read and that never fits, such as
    `hostssl` while TLS is off, has a `kind` and does no harm.
    """

    line: int
    kind: str
    databases: tuple[str, ...]
    roles: tuple[str, ...]
    address: str | None
    netmask: str | None
    method: str
    wants_certificate: bool = False
    error: str | None = None
    file: str = "pg_hba.conf"

    @property
    def network(self) -> Network | None:
        """The addresses it is for, when they stand there as numbers."""
        if self.address is None or self.netmask is None:
            return None
        try:
            mask = ipaddress.ip_address(self.netmask)
            bits = bin(int(mask)).count("1")
            return ipaddress.ip_network(f"{self.address}/{bits}", strict=False)
        except ValueError:
            return None

    @property
    def for_other_hosts(self) -> bool:
        """Whether clients of another machine can come by it."""
        if self.kind not in _NETWORK_KINDS or self.address == "samehost":
            return False
        network = self.network
        if network is not None:
            return not (network.network_address.is_loopback and network.broadcast_address.is_loopback)
        return self.address not in ("localhost", "localhost.localdomain")

    @property
    def told(self) -> str:
        if self.network is not None:
            return "every address" if self.network in _EVERYWHERE else str(self.network)
        return {"all": "every address", "samenet": "the server's own networks"}.get(
            str(self.address), str(self.address)
        )


@dataclass(frozen=True, slots=True)
class WeakRule:
    """Lines that let the same roles into the same databases by the same weak method."""

    database: str
    role: str
    method: str
    rules: int
    file: str
    line: int
    addresses: str
    consequence: str
    remedy: str


def weak(rules: Sequence[HostRule]) -> Sequence[WeakRule]:
    """The lines that are reached and weak, in the order of the file; those of one kind are told together."""
    kinds: dict[tuple[str, str, str], list[HostRule]] = {}
    sound = [rule for rule in rules if rule.error is None]
    for position, rule in enumerate(sound):
        if _consequence(rule) is None or any(_covers(earlier, rule) for earlier in sound[:position]):
            continue
        kinds.setdefault((_joined(rule.databases), _joined(rule.roles), rule.method), []).append(rule)
    return tuple(
        WeakRule(
            database=database,
            role=role,
            method=method,
            rules=len(found),
            file=found[0].file,
            line=found[0].line,
            addresses=_addresses(found),
            consequence=_consequence(found[0]) or "",
            remedy=_remedy(found[0]),
        )
        for (database, role, method), found in kinds.items()
    )


def broken(rules: Iterable[HostRule]) -> Sequence[HostRule]:
    """The lines the server cannot read."""
    return tuple(rule for rule in rules if rule.error is not None and not rule.kind)


def _consequence(rule: HostRule) -> str | None:
    """What is weak about it; None when nothing is."""
    if not rule.for_other_hosts:
        return None
    if rule.method == "trust":
        return None if rule.wants_certificate and rule.kind == "hostssl" else "without a password"
    if rule.method == "ident":
        return "as whoever their own machine says they are"
    if rule.method in _PLAIN_PASSWORDS and rule.kind not in _ENCRYPTED_KINDS:
        return "with a password that may cross the network in plain text"
    return None


def _remedy(rule: HostRule) -> str:
    """What the line should say. It stands in a file, so no statement can put it there."""
    method = rule.method if rule.method in _PLAIN_PASSWORDS else "scram-sha-256"
    place = str(rule.network) if rule.network is not None else str(rule.address)
    databases, roles = (_joined([_written(name) for name in names]) for names in (rule.databases, rule.roles))
    line = f"hostssl {databases} {roles} {place} {method}"
    return f"-- line {rule.line} of {rule.file} should say: {line}"


def _written(name: str) -> str:
    """The name as it stands in the file. The + before a group is no part of its name, and quotes would make it one."""
    if not _NEEDS_QUOTES.search(name):
        return name
    group = "+" if name.startswith("+") else ""
    quoted = name.removeprefix(group).replace('"', '""')
    return f'{group}"{quoted}"'


def _covers(earlier: HostRule, later: HostRule) -> bool:
    """Whether every client of the later line is decided by the earlier one."""
    return (
        (earlier.kind == later.kind or (earlier.kind == "host" and later.kind in _NETWORK_KINDS))
        and _covers_databases(earlier.databases, later.databases)
        and ("all" in earlier.roles or set(later.roles) <= set(earlier.roles))
        and _covers_address(earlier, later)
    )


def _covers_databases(earlier: Sequence[str], later: Sequence[str]) -> bool:
    """`all` means every database, and not replication."""
    wanted = set(later) - set(earlier)
    return not wanted or ("all" in earlier and "replication" not in wanted)


def _covers_address(earlier: HostRule, later: HostRule) -> bool:
    if earlier.address == later.address and earlier.netmask == later.netmask:
        return True
    if earlier.address == "all":
        return True
    here, there = earlier.network, later.network
    if isinstance(here, ipaddress.IPv4Network) and isinstance(there, ipaddress.IPv4Network):
        return there.subnet_of(here)
    if isinstance(here, ipaddress.IPv6Network) and isinstance(there, ipaddress.IPv6Network):
        return there.subnet_of(here)
    return False


def _joined(names: Sequence[str]) -> str:
    joined = ",".join(names)
    return joined if len(joined) <= _LONGEST_NAMES else joined[: _LONGEST_NAMES - 1] + "…"


def _addresses(rules: Sequence[HostRule]) -> str:
    told = list(dict.fromkeys(rule.told for rule in rules))
    shown = ", ".join(told[:_MOST_ADDRESSES_TOLD])
    return shown if len(told) <= _MOST_ADDRESSES_TOLD else f"{shown} and {len(told) - _MOST_ADDRESSES_TOLD} more"
