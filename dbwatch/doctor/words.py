"""Owns saying in a few words what a check needs, from its file alone. Pure."""

from __future__ import annotations

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Lock, Scope

_LOCKS = {
    Lock.NONE: "no lock",
    Lock.CATALOG: "catalog locks",
    Lock.RELATION: "relation locks, 200 ms at most",
}


def version_text(check: Check) -> str | None:
    """`>=14`, or None when any version will do."""
    bound = check.requires.version
    return None if bound is None else f"{bound[0]}{'.'.join(map(str, bound[1]))}"


def lock_text(check: Check) -> str:
    return _LOCKS[check.lock]


def needs(check: Check) -> list[str]:
    """What must hold for the check to run, and what its run may wait for."""
    requires = check.requires
    version = version_text(check)
    found = [
        f"a {requires.role}" if requires.role is not None else "",
        f"version {version}" if version is not None else "",
        requires.flavour or "",
        requires.privilege or "",
        f"extension {requires.extension}" if requires.extension else "",
        requires.setting or "",
        lock_text(check) if check.lock is Lock.RELATION else "",
        "each database" if check.scope is Scope.DATABASE else "",
    ]
    return [text for text in found if text]
