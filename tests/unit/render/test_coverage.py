"""The page of rules: a rule has a check or a reason, a check covers rules that exist, a link leads somewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue import Catalogue, load_catalogue
from dbwatch.errors import ConfigError
from dbwatch.render.coverage import coverage_page, read_rules, rules

ROOT = Path(__file__).resolve().parents[3]
IDS = (
    *(f"O{number}" for number in range(1, 20)),
    *(f"S{number}" for number in range(1, 18)),
    *(f"Q{number}" for number in range(1, 6)),
    *(f"C{number}" for number in range(1, 7)),
    *(f"R{number}" for number in range(1, 6)),
    "A1",
    "A2",
)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue([bundled("checks")])


def test_every_rule_stands_there_once() -> None:
    assert tuple(rule.id for rule in rules()) == IDS
    assert all(rule.text for rule in rules())


def test_a_comma_does_not_end_a_text_unnoticed() -> None:
    with pytest.raises(ConfigError, match="O13: 'and who blocks whom' is not a known key"):
        read_rules(b"O13: {rule: Deadlocks and locks, and who blocks whom}")


def test_every_rule_has_a_check_or_a_reason(catalogue: Catalogue) -> None:
    covered = {name for check in catalogue for name in check.covers}
    silent = [rule.id for rule in rules() if rule.id not in covered and not rule.otherwise]
    assert silent == []


def test_every_link_leads_to_a_page(catalogue: Catalogue) -> None:
    _, text = coverage_page(catalogue)
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_a_rule_that_there_is_not_is_refused(catalogue: Catalogue) -> None:
    first = next(iter(catalogue))
    with pytest.raises(ConfigError, match="X9"):
        coverage_page(Catalogue({(first.engine, first.name): replace(first, covers=("X9",))}))
