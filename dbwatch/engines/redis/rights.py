"""Owns which commands a check sends, and which of them a monitor should be given. Pure.

The lists are those the probes declare: nothing is kept here that could be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dbwatch.catalogue import Check
from dbwatch.engines.redis.commands import acl_rule
from dbwatch.engines.redis.probes import PROBES

LEAST: Final = ("INFO", "PING")
REVEALING: Final = frozenset({"CONFIG GET"})
"""Not among what is recommended: the server then shows this user every setting, passwords included."""
SENTINEL_MODE: Final = "mode = sentinel"


@dataclass(frozen=True, slots=True)
class Rights:
    """ACL rules. `on_sentinels` are those of commands that only a Sentinel has, where an ACL may name them.

    `revealing` are by check, for the one who decides.
    """

    least: tuple[str, ...]
    full: tuple[str, ...]
    on_sentinels: tuple[str, ...]
    revealing: tuple[str, ...]
    wanting_more: tuple[str, ...]


def commands_of(check: Check) -> tuple[str, ...]:
    """Every command the check may send, those it can do without last."""
    probe = PROBES.get(check.probe or "")
    own = () if check.command is None else (check.command,)
    more = () if probe is None else (*probe.commands, *probe.optional)
    return tuple(dict.fromkeys((*LEAST, *own, *more)))


def rights_of(checks: Iterable[Check]) -> Rights:
    """What these checks need together."""
    ordinary: dict[str, None] = {}
    sentinel: dict[str, None] = {}
    revealing: dict[str, None] = {}
    wanting: dict[str, None] = {}
    for check in sorted(checks, key=lambda one: one.name):
        for command in commands_of(check)[len(LEAST) :]:
            if command in REVEALING:
                revealing[check.name] = None
                continue
            wanting[check.name] = None
            (sentinel if check.requires.setting == SENTINEL_MODE else ordinary)[command] = None
    least = tuple(acl_rule(command) for command in LEAST)
    return Rights(
        least=least,
        full=(*least, *sorted(acl_rule(command) for command in ordinary)),
        on_sentinels=(*least, *sorted(acl_rule(command) for command in sentinel)),
        revealing=tuple(revealing),
        wanting_more=tuple(wanting),
    )
