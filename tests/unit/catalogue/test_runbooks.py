"""Every bundled check says why its line is where it is, what is normal and when to be silent; its examples load."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterator

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue import Check, load_catalogue
from dbwatch.config.schema import Overrides
from dbwatch.model import Status
from dbwatch.strictyaml import read

CHECKS = tuple(load_catalogue([bundled("checks")]))
PARTS = ("threshold", "normal", "silence")


@pytest.mark.parametrize("part", PARTS)
def test_each_check_says_it_in_a_few_sentences(part: str) -> None:
    lengths = {f"{check.engine}/{check.name}": len(_text(check, part)) for check in CHECKS}
    assert lengths
    assert {name: length for name, length in lengths.items() if not 40 <= length <= 700} == {}


def test_no_two_checks_share_a_text() -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for check in CHECKS:
        for part in PARTS:
            owners[" ".join(_text(check, part).split())].append(f"{check.engine}/{check.name} {part}")
    assert [names for text, names in owners.items() if text and len(names) > 1] == []


def test_examples_of_thresholds_are_levels_of_their_check() -> None:
    tried = 0
    for check in CHECKS:
        for example in _examples(check):
            for name, levels in example.thresholds.items():
                assert name == check.name
                given = {Status.CRITICAL: levels.critical, Status.WARNING: levels.warning}
                check.with_levels({status: text for status, text in given.items() if text is not None})
                tried += 1
    assert tried > 0


def _text(check: Check, part: str) -> str:
    return getattr(check.runbook, part) or ""


def _examples(check: Check) -> Iterator[Overrides]:
    """The indented blocks of the three texts: each is a piece of configuration."""
    for part in PARTS:
        lines = [line for line in _text(check, part).splitlines() if line.startswith("    ")]
        if lines:
            yield Overrides.model_validate(read(textwrap.dedent("\n".join(lines)), check.name).data)
