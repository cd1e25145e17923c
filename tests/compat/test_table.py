"""docs/compat.md says what the collectors, the recordings and the allowances say."""

from __future__ import annotations

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue import load_catalogue
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.exposition.compat.own import OWN
from tests.compat import table
from tests.compat.recording import load


def test_the_page_is_up_to_date() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.render(), "python -m tests.compat.table"


@pytest.mark.parametrize("section", table.SECTIONS, ids=lambda section: str(section.exporter))
def test_types_and_labels_are_those_of_the_exporter(section: table.Section) -> None:
    """Also for the families that no server of the tests shows today."""
    recorded = load(section.exporter).families
    wrong: list[str] = []
    for collector, family in load_collectors([bundled("checks")]).families(section.exporter):
        seen = recorded.get(family.name)
        if seen is None:
            continue
        labels = {*family.labels, *(["server"] if collector.server else [])}
        if seen.kind != family.kind or not set(seen.labels) - {"le", "quantile"} <= labels:
            wrong.append(f"{family.name}: {family.kind} {sorted(labels)}, there {seen.kind} {seen.labels}")
    assert wrong == []


def test_other_names_are_names_of_ours() -> None:
    """What `dbwatch compat` calls renamed is on the page, or among our own metrics."""
    collectors = load_collectors([bundled("checks")])
    native = {column.metric for check in load_catalogue([bundled("checks")]) for column in check.exported.values()}
    native |= {"dbwatch_build_info", "dbwatch_check_duration_seconds"}
    for exporter, about in collectors.exporters.items():
        known = {family.name for _, family in collectors.families(exporter)} | {own.name for own in OWN[exporter]}
        assert {new for new in about.renamed.values() if new not in known | native} == set()
        assert {old for old in about.renamed if old in known} == set()
