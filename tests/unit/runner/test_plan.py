"""Which checks a target runs: profile, switches, and what is asked for by name only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dbwatch.catalogue import Catalogue, load_catalogue
from dbwatch.config import Target
from dbwatch.runner.plan import selected
from tests.unit.runner.conftest import make_check


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    make_check(tmp_path, name="usual")
    make_check(tmp_path, name="unusual", more="enabled: false", metrics="unusual")
    make_check(tmp_path, name="whole_relation", more="on_demand: true", metrics="whole")
    return load_catalogue([tmp_path])


@pytest.mark.parametrize(
    ("enable", "disable", "names"),
    [
        ((), (), {"usual"}),
        (("un*",), (), {"usual", "unusual"}),
        (("*", "group:queues"), (), {"usual", "unusual"}),
        (("whole_relation",), (), {"usual", "whole_relation"}),
        (("whole_relation",), ("whole*",), {"usual"}),
    ],
)
def test_what_is_selected(
    catalogue: Catalogue, target: Target, enable: tuple[str, ...], disable: tuple[str, ...], names: set[str]
) -> None:
    chosen = selected(catalogue, replace(target, enable=enable, disable=disable))
    assert {check.name for check in chosen} == names
