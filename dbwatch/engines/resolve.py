"""Owns turning a host name into addresses within a deadline. Knows no engine and caches nothing.

`getaddrinfo` has no time limit of its own: a dead name server holds it for 5 to 30 seconds, whatever the
driver's connect timeout says (measured: `reference/reliability.md` §2). Names are looked up anew at every
connect, so that a target that moves is followed.
"""

from __future__ import annotations

import ipaddress
import socket

from dbwatch.deadline import Deadline
from dbwatch.engines.aside import Aside, CrowdedError, UnfinishedError
from dbwatch.errors import TargetError
from dbwatch.model import Reason

_lookups = Aside("dbwatch-resolve")


def resolve(host: str, port: int | None, deadline: Deadline) -> tuple[str, ...]:
    """The addresses of `host`, best first, without repeats; an address is its own answer.

    A socket path is not a name and does not come here. Raises TargetError(dns) at phase `resolve`.
    """
    if _is_address(host):
        return (host,)
    try:
        return _lookups.within(deadline, (host, port), lambda: _addresses(host, port))
    except socket.gaierror as error:
        raise _failed(host, error.strerror or str(error)) from None
    except UnicodeError:
        raise _failed(host, "it is not a host name") from None
    except OSError as error:
        raise _failed(host, error.strerror or str(error)) from None
    except UnfinishedError:
        raise _failed(host, "the name server gave no answer in time") from None
    except CrowdedError:
        raise _failed(host, "too many lookups hang already; the name server does not answer") from None


def _addresses(host: str, port: int | None) -> tuple[str, ...]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _failed(host: str, why: str) -> TargetError:
    return TargetError(Reason.DNS, "resolve", f"the name {host!r} cannot be resolved: {why}")
