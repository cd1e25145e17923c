"""Owns the words for what a check costs, needs and may wait for. The same in commands and pages."""

from __future__ import annotations

from typing import Final

from dbwatch.catalogue.check import Check
from dbwatch.catalogue.schema import Lock

LOCK_WORDS: Final = {
    Lock.NONE: "no lock",
    Lock.CATALOG: "system catalogs only",
    Lock.RELATION: "may wait 200 ms for a relation",
}


def versions(check: Check) -> str:
    """`14 or newer`, `older than 17`, `any`."""
    bound = check.requires.version
    if bound is None:
        return "any"
    dotted = ".".join(map(str, bound[1]))
    return f"{dotted} or newer" if bound[0] == ">=" else f"older than {dotted}"


def availability(check: Check) -> str:
    """The profile that runs the check, or what it takes beyond one."""
    if check.on_demand:
        return "on demand"
    return str(check.profile) if check.enabled else f"{check.profile}, off"


def needs(check: Check) -> str:
    """The requirements in words; empty when there are none."""
    requires = check.requires
    parts = [
        f"version {versions(check)}" if requires.version is not None else "",
        f"a {requires.role}" if requires.role is not None else "",
        requires.flavour or "",
        f"the privilege {requires.privilege}" if requires.privilege is not None else "",
        f"the extension {requires.extension}" if requires.extension is not None else "",
        f"the setting {requires.setting}" if requires.setting is not None else "",
    ]
    return ", ".join(part for part in parts if part)
