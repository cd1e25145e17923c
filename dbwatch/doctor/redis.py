"""Owns what a Redis user lacks and the ACL rules that give it. Pure: examination in, steps out."""

from __future__ import annotations

from collections.abc import Mapping

from dbwatch.doctor.diagnosis import Step
from dbwatch.doctor.examine import Look
from dbwatch.engines.redis.commands import acl_rule
from dbwatch.model import Facts, Reason

_ALWAYS = ("+info", "+ping")
_DEFAULT_USER = "default"


def steps(facts: Facts, looks: Mapping[str, Look]) -> tuple[Step, ...]:
    """What to do, needed steps first."""
    found = []
    refused: dict[str, list[str]] = {}
    for name, look in looks.items():
        for error in (*look.unmet, *([look.error] if look.error is not None else [])):
            if error.reason is Reason.PRIVILEGE:
                refused.setdefault(acl_rule(error.step or "INFO"), []).append(name)
    if refused:
        rules = " ".join(dict.fromkeys((*_ALWAYS, *refused)))
        found.append(
            Step(
                what=f"{facts.user} may not run {', '.join(rule[1:].replace('|', ' ').upper() for rule in refused)}",
                why="these commands only look; none of them reads a key",
                needed=True,
                statements=(f"ACL SETUSER {facts.user} {rules}",),
                instead="keep it over a restart: ACL SAVE with an ACL file, else CONFIG REWRITE",
                reason=Reason.PRIVILEGE,
                checks=tuple(dict.fromkeys(check for checks in refused.values() for check in checks)),
            )
        )
    elif facts.user == _DEFAULT_USER:
        found.append(
            Step(
                what="dbwatch logs in as the default user",
                why="it may do everything unless somebody took that away; INFO and PING are all that is needed",
                needed=False,
                instead="dbwatch grants --engine redis --user dbwatch  # prints the set-up of a user of its own",
            )
        )
    return tuple(found)
