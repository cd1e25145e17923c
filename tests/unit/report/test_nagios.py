"""The plug-in output: one line, performance data that every scheduler parses, then the rest."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from dbwatch.model import Engine, Status
from dbwatch.report.nagios import MOST_VALUES, render_nagios
from dbwatch.store import TargetView
from tests.unit.report.samples import (
    CACHE_MISS,
    REPLICATION_SLOT,
    UNUSED_INDEX,
    check,
    healthy,
    index,
    outcome,
    row,
    slot,
    troubled,
    unreachable,
    view,
)

DATUM = re.compile(r"'([^'=|]+)'=(-?\d+(?:\.\d+)?)(B|s|c)?(?:;([-\d.:~]*)(?:;([-\d.:~]*))?)?")


def output(*views: TargetView) -> tuple[str, dict[str, tuple[str, str, str, str]], list[str]]:
    first, *rest = render_nagios(views, duration_seconds=1.5).splitlines()
    text, bar, performance = first.partition(" | ")
    assert bar
    assert "|" not in text + performance + "".join(rest)
    data = {}
    for datum in performance.split(" "):
        match = DATUM.fullmatch(datum)
        assert match is not None, datum
        data[match[1]] = (match[2], match[3] or "", match[4] or "", match[5] or "")
    return text, data, rest


def test_the_first_line_says_the_worst_and_the_others_follow() -> None:
    text, _, rest = output(troubled(), unreachable())
    assert text == (
        'DBWATCH CRITICAL - orders replication_slot: slot "debezium" keeps 38 GiB and is lost in about 2 h at '
        "5 MiB/s, 4 more; 44 of 51 checks ok, 1 skipped"
    )
    assert [line.split(" ")[0] for line in rest] == ["CRITICAL", "UNKNOWN", "UNKNOWN", "WARNING", "WARNING"]
    assert "UNKNOWN cache unreachable: refused: Connection refused at cache:6379" in rest


def test_ok_and_no_targets() -> None:
    text, data, rest = output(healthy())
    assert text == "DBWATCH OK - nothing found; 44 of 44 checks ok"
    assert rest == []
    assert data["orders.check_7.hit_ratio"] == ("0.99", "", "0.9:", "")
    assert output()[0] == "DBWATCH UNKNOWN - no targets; 0 of 0 checks ok"


def test_values_carry_unit_and_thresholds() -> None:
    found = view(
        (REPLICATION_SLOT, outcome(REPLICATION_SLOT, slot())), (UNUSED_INDEX, outcome(UNUSED_INDEX, index("a")))
    )
    _, data, _ = output(found)
    assert data == {
        "dbwatch.duration": ("1.5", "s", "", ""),
        "orders.replication_slot.debezium.retained_bytes": ("40802189312", "B", "1073741824", "21474836480"),
        "orders.unused_index.shop.public.a.index_bytes": ("851443712", "B", "104857600", ""),
        "orders.unused_index.shop.public.a.idx_scan": ("0", "c", "", ""),
    }


def test_hostile_names_and_texts_break_nothing() -> None:
    named = index("a='b' | c\nd;e", 2e9)
    text, data, rest = output(view((UNUSED_INDEX, outcome(UNUSED_INDEX, named))))
    assert "¦" in text
    assert "orders.unused_index.shop.public.a_b_c_d;e.index_bytes" in data
    assert len(rest) == 1


@pytest.mark.parametrize(("value", "text"), [(1e-9, "0.000000001"), (1e20, "1" + "0" * 20), (-2.5, "-2.5")])
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    _, data, _ = output(view((CACHE_MISS, outcome(CACHE_MISS, row(CACHE_MISS, {}, {"hit_ratio": value})))))
    assert data["orders.cache_miss.hit_ratio"][0] == text


def test_null_gives_no_value() -> None:
    _, data, _ = output(view((CACHE_MISS, outcome(CACHE_MISS, row(CACHE_MISS, {}, {"hit_ratio": None})))))
    assert list(data) == ["dbwatch.duration"]


def test_values_are_bounded_and_those_of_the_whole_server_come_first() -> None:
    many = [index(f"i{number}", status=Status.OK) for number in range(300)]
    fine = outcome(CACHE_MISS, row(CACHE_MISS, {}, {"hit_ratio": 0.99}))
    _, data, rest = output(view((UNUSED_INDEX, outcome(UNUSED_INDEX, *many)), (CACHE_MISS, fine)))
    assert len(data) == MOST_VALUES
    assert "orders.cache_miss.hit_ratio" in data
    assert rest == [f"performance data: {602 - MOST_VALUES} values left out, --format prometheus has all"]


def test_a_redis_check_reads_the_same() -> None:
    low = check("cache_miss", REDIS, Engine.REDIS)
    found = outcome(low, row(low, {}, {"hit_ratio": 0.5}, Status.WARNING))
    text, _, _ = output(view((low, replace(found, target="orders"))))
    assert "only 50 % of reads" in text


REDIS = """
summary: Cache hit ratio is low
group: memory
why: the disk is slow
command: INFO
fields: {hit_ratio: hits}
columns:
  hit_ratio: {use: gauge, metric: dbwatch_pg_cache_hit_ratio, help: Hits}
levels: {warning: hit_ratio < 90%}
message: "only {hit_ratio:percent} of reads come from memory"
"""
