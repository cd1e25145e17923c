"""Owns deciding whether a check applies to a server, from facts alone. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator

from dbwatch.catalogue import Catalogue, Check
from dbwatch.catalogue.schema import Profile
from dbwatch.config import Target
from dbwatch.errors import Skipped
from dbwatch.model import Facts, Reason

_PROFILES = (Profile.MINIMAL, Profile.STANDARD, Profile.DEEP)


def selected(catalogue: Catalogue, target: Target) -> tuple[Check, ...]:
    """The checks this target is to run, with its own thresholds. Explicit enabling beats profile and default."""
    return tuple(
        check.with_levels(target.thresholds[check.name]) if check.name in target.thresholds else check
        for check in catalogue.of(target.engine)
        if _wanted(check, target)
    )


def _wanted(check: Check, target: Target) -> bool:
    if _named(check, target.disable):
        return False
    if check.on_demand:
        return check.name in target.enable  # neither a glob nor a group may start what reads whole relations
    if _named(check, target.enable):
        return True
    return check.enabled and _PROFILES.index(check.profile) <= _PROFILES.index(target.profile)


def _named(check: Check, patterns: Iterable[str]) -> bool:
    names = (check.name, f"group:{check.group}")
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)


def not_applicable(check: Check, facts: Facts) -> Skipped | None:
    """Why the check cannot run on this server, or None when it can."""
    return next(unmet(check, facts), None)


def unmet(check: Check, facts: Facts) -> Iterator[Skipped]:
    """Everything that keeps the check from running on this server; first what nobody can change."""
    requires = check.requires
    if requires.role is not None and facts.role is not requires.role:
        yield Skipped(Reason.ROLE, f"runs on a {requires.role}, this is a {facts.role}")
    if requires.version is not None and not _in_bound(requires.version, facts.version):
        operator, bound = requires.version
        wanted = ".".join(str(part) for part in bound)
        yield Skipped(Reason.VERSION, f"needs version {operator} {wanted}, this is {facts.version_text}")
    if requires.flavour is not None and facts.flavour != requires.flavour:
        yield Skipped(Reason.PLATFORM, f"is for {requires.flavour}, this is {facts.flavour}")
    if requires.privilege is not None and requires.privilege not in facts.privileges:
        yield Skipped(Reason.PRIVILEGE, f"needs {requires.privilege}, {facts.user or 'this user'} does not have it")
    if requires.extension is not None and requires.extension not in facts.extensions:
        yield Skipped(Reason.EXTENSION, f"needs the extension {requires.extension}")
    elif requires.extension is not None and not facts.extensions[requires.extension].loaded:
        yield Skipped(Reason.EXTENSION, f"needs the library {requires.extension}, which the server has not loaded")
    if requires.setting is not None and not _setting_holds(requires.setting, facts):
        yield Skipped(Reason.SETTING, f"needs {requires.setting}")
    if check.sql and check.sql_for(facts.version) is None:
        yield Skipped(Reason.VERSION, f"has no SQL for version {facts.version_text}")


def _in_bound(bound: tuple[str, tuple[int, ...]], version: tuple[int, ...]) -> bool:
    operator, limit = bound
    cut = version[: len(limit)]
    return cut >= limit if operator == ">=" else cut < limit


def _setting_holds(text: str, facts: Facts) -> bool:
    """`track_io_timing` means on; `archive_mode != off` and `a = b` compare."""
    match = re.fullmatch(r"(\w+)\s*(!=|=)\s*(\S+)", text)
    if match is None:
        return facts.settings.get(text) == "on"
    name, operator, wanted = match.groups()
    return (facts.settings.get(name) == wanted) is (operator == "=")
