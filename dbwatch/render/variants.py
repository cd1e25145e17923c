"""Owns which thresholds of a check hold for which targets of a configuration, as the rules have to say it.

Refuses to render. Without targets there is one answer: the catalogue's, for everybody.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dbwatch.catalogue import Check
from dbwatch.config import Target


@dataclass(frozen=True, slots=True)
class Variant:
    """A check as some targets judge it.

    `matcher` selects them, nothing when they are all; `own` limits are not the catalogue's.
    """

    check: Check
    matcher: str = ""
    own: bool = False


def variants(check: Check, targets: Sequence[Target]) -> Iterator[Variant]:
    """The catalogue's thresholds for those who have no others, then each other choice with the targets that made it.

    A target that ignores findings of the check is among the former: its alert follows the verdict, which knows.
    """
    concerned = [target for target in targets if target.engine is check.engine]
    groups: list[tuple[Check, list[str]]] = []
    for target in concerned:
        has_own = check.name in target.thresholds or check.name in target.intervals
        if not has_own or any(fnmatch.fnmatchcase(check.name, ignore.check) for ignore in target.ignore):
            continue
        levels = target.thresholds.get(check.name, {})
        chosen = replace(check.with_levels(levels), every=target.intervals.get(check.name, check.every))
        names = next((names for known, names in groups if _same(known, chosen)), None)
        if names is None:
            groups.append((chosen, [target.name]))
        else:
            names.append(target.name)
    if len(groups) == 1 and len(groups[0][1]) == len(concerned):
        yield Variant(groups[0][0], own=True)
        return
    others = [name for _, names in groups for name in names]
    yield Variant(check, f"target!~{_one_of(others)}" if others else "")
    for chosen, names in groups:
        yield Variant(chosen, f"target=~{_one_of(names)}", own=True)


def _same(one: Check, other: Check) -> bool:
    return one.level_texts == other.level_texts and one.every == other.every


def _one_of(names: Sequence[str]) -> str:
    """A pattern in quotes; nothing that a target may be called means something else there."""
    return '"' + "|".join(names) + '"'
