"""Every bundled check says why its line is where it is, what is normal and when to be silent; its examples load."""

from __future__ import annotations

import re
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
WHOLE = ("meaning", "impact", "diagnosis", "mitigation", *PARTS)


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
        for example in (*_examples(check), *_inline_examples(check)):
            for name, levels in example.thresholds.items():
                assert name == check.name
                given = {Status.CRITICAL: levels.critical, Status.WARNING: levels.warning}
                told = {status: text for status, text in given.items() if text is not None}
                assert set(told) <= set(check.levels), f"{check.name}: the bundled rules have no alert of that level"
                check.with_levels(told)
                tried += 1
    assert tried > 0


def test_each_place_that_begins_an_example_is_read_as_one() -> None:
    begun = {_name(check): sum(_text(check, part).count("thresholds:") for part in WHOLE) for check in CHECKS}
    found = {_name(check): len([*_examples(check), *_inline_examples(check)]) for check in CHECKS}
    assert found == begun
    inline = [example for check in CHECKS for example in _inline_examples(check)]
    assert len(inline) > 50, "most stand between backquotes"


def _name(check: Check) -> str:
    return f"{check.engine}/{check.name}"


def _text(check: Check, part: str) -> str:
    return getattr(check.runbook, part) or ""


def _examples(check: Check) -> Iterator[Overrides]:
    """The indented blocks of the three texts, and indented thresholds elsewhere: each is a piece of configuration."""
    for part in WHOLE:
        indented = [line for line in _text(check, part).splitlines() if line.startswith("    ")]
        lines = indented if part in PARTS else [line for line in indented if line.strip().startswith("thresholds:")]
        if lines:
            yield _piece(check, textwrap.dedent("\n".join(lines)))


def _inline_examples(check: Check) -> Iterator[Overrides]:
    """Thresholds between backquotes, which may be wrapped over lines like any sentence."""
    for part in WHOLE:
        for match in re.finditer(r"`(thresholds:\s[^`]+)`", _text(check, part)):
            yield _piece(check, " ".join(match[1].split()))


def _piece(check: Check, text: str) -> Overrides:
    return Overrides.model_validate(read(text, check.name).data)
