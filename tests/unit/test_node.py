"""One server from another behind the same address."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbwatch.model import Engine, Facts, Role
from dbwatch.node import leads_elsewhere

KNOWN = Facts(
    engine=Engine.POSTGRES,
    version=(17, 2),
    version_text="17.2",
    role=Role.PRIMARY,
    flavour="postgresql",
    system_identifier="7001",
    started_at_seconds=10_000.0,
)


@pytest.mark.parametrize(
    ("now", "elsewhere"),
    [
        (KNOWN, False),
        (replace(KNOWN, role=Role.STANDBY), False),
        (replace(KNOWN, version=(17, 3), version_text="17.3", started_at_seconds=20_100.0), False),
        (replace(KNOWN, started_at_seconds=10_030.0), False),
        (replace(KNOWN, started_at_seconds=None), False),
        (replace(KNOWN, system_identifier="7002"), True),
        (replace(KNOWN, version=(18, 0), version_text="18.0"), True),
        (replace(KNOWN, started_at_seconds=5_000.0), True),
        (replace(KNOWN, started_at_seconds=15_000.0), True),
    ],
    ids=["same", "promoted", "restarted", "clock", "untold", "cluster", "major", "older", "ran beside it"],
)
def test_where_the_address_leads(now: Facts, elsewhere: bool) -> None:
    assert leads_elsewhere(KNOWN, now, seen_at_seconds=20_000.0) is elsewhere


def test_the_first_is_no_other() -> None:
    assert not leads_elsewhere(None, KNOWN, seen_at_seconds=0.0)
