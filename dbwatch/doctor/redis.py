"""Owns what a Redis user lacks and the ACL rules that give it. Pure: examination in, steps out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbwatch.catalogue import Check
from dbwatch.doctor.diagnosis import Step
from dbwatch.doctor.examine import Look
from dbwatch.engines.redis.commands import acl_name, acl_rule
from dbwatch.engines.redis.rights import LEAST, REVEALING, SENTINEL_MODE, commands_of
from dbwatch.model import Facts, Reason

_DEFAULT_USER = "default"


def steps(facts: Facts, checks: Mapping[str, Check], looks: Mapping[str, Look]) -> tuple[Step, ...]:
    """What to do, needed steps first."""
    lacking = {
        name: refused
        for name, look in looks.items()
        if _applies(facts, checks[name], look) and (refused := _refused(facts, checks[name]))
    }
    found = [*_commands(facts, checks, lacking)]
    if not found and facts.user == _DEFAULT_USER:
        found.append(
            Step(
                what="dbwatch logs in as the default user",
                why="it may do everything unless somebody took that away; a few commands that only look are enough",
                needed=False,
                instead="dbwatch grants --engine redis --user dbwatch  # prints the set-up of a user of its own",
            )
        )
    found += _settings(looks)
    found += _revealing(facts, lacking)
    return tuple(found)


def _applies(facts: Facts, check: Check, look: Look) -> bool:
    """Of a server that hides its INFO it is not known what it is: then for all but the checks of Sentinels."""
    if acl_name("INFO") not in facts.privileges:
        return check.requires.setting != SENTINEL_MODE
    return all(error.reason is Reason.PRIVILEGE for error in look.unmet)


def _refused(facts: Facts, check: Check) -> tuple[str, ...]:
    """The commands it wants and this user was refused; after one refusal the others were not even tried."""
    wanted = commands_of(check)
    if all(acl_name(command) in facts.privileges for command in wanted):
        return ()
    if acl_name("INFO") not in facts.privileges:
        return wanted
    return tuple(command for command in wanted if acl_name(command) not in facts.privileges)


def _commands(facts: Facts, checks: Mapping[str, Check], lacking: Mapping[str, tuple[str, ...]]) -> Iterator[Step]:
    refused: dict[str, None] = {}
    wanting = []
    for name, commands in lacking.items():
        if REVEALING.issuperset(commands):
            continue
        wanting.append(name)
        refused.update(dict.fromkeys(command for command in commands_of(checks[name]) if command not in REVEALING))
    if not refused:
        return
    seen = [command for command in refused if acl_name(command) not in facts.privileges]
    rules = dict.fromkeys(acl_rule(command) for command in (*LEAST, *refused))
    yield Step(
        what=f"{facts.user} may not run {', '.join(seen)}",
        why="these commands only look; none of them reads a key",
        needed=True,
        statements=(f"ACL SETUSER {facts.user} {' '.join(rules)}",),
        instead="keep it over a restart: ACL SAVE with an ACL file, else CONFIG REWRITE",
        reason=Reason.PRIVILEGE,
        checks=tuple(wanting),
    )


def _settings(looks: Mapping[str, Look]) -> Iterator[Step]:
    """What checks would see if something were switched on."""
    for name, look in looks.items():
        error = look.error
        if error is not None and error.reason is Reason.SETTING and error.remedy is not None:
            yield Step(
                what=str(error),
                why="without it the check sees nothing",
                needed=False,
                statements=(error.remedy,),
                instead="keep it over a restart: CONFIG REWRITE",
                reason=Reason.SETTING,
                checks=(name,),
            )


def _revealing(facts: Facts, lacking: Mapping[str, tuple[str, ...]]) -> Iterator[Step]:
    names = tuple(name for name, commands in lacking.items() if REVEALING.intersection(commands))
    if names and acl_name("INFO") in facts.privileges:
        rules = " ".join(acl_rule(command) for command in sorted(REVEALING))
        yield Step(
            what=f"{facts.user} may not run {', '.join(sorted(REVEALING))}",
            why="some checks would see more; but the server would show this user every setting, its passwords included",
            needed=False,
            statements=(f"ACL SETUSER {facts.user} {rules}",),
            reason=Reason.PRIVILEGE,
            checks=names,
        )
