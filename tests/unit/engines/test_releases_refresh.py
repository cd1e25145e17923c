"""Bringing the table of releases up to date from what endoflife.date says: what is new comes in, the rest stays."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from dbwatch.engines import releases_refresh
from dbwatch.engines.releases import TABLE, read_table, releases_of
from dbwatch.engines.releases_refresh import refreshed
from dbwatch.strictyaml import read

TEXT = TABLE.read_text(encoding="utf-8")
TODAY = datetime.date(2026, 12, 24)
REDIS = [
    {"cycle": "9.0", "releaseDate": "2026-12-01", "eol": False, "latest": "9.0.1", "latestReleaseDate": "2026-12-20"},
    {"cycle": "8.10", "releaseDate": "2026-07-29", "eol": False, "latest": "8.10.4", "latestReleaseDate": "2026-12-20"},
    {"cycle": "8.2", "releaseDate": "2025-08-04", "eol": False, "latest": "8.2.5", "latestReleaseDate": "2026-02-22"},
    {"cycle": "8.0", "releaseDate": "2025-05-02", "eol": "2026-02-11", "latest": "8.0.6"},
    {"cycle": "3.2", "releaseDate": "2016-05-06", "eol": True, "latest": "3.2.13"},
]
VALKEY = [
    {"cycle": "10.0", "releaseDate": "2026-11-30", "eol": "2029-11-30", "latest": "10.0.0", "lts": True},
    {"cycle": "9.1", "releaseDate": "2026-05-19", "eol": "2029-05-19", "latest": "9.1.3"},
]


def _feed(product: str) -> bytes:
    return json.dumps({"redis": REDIS, "valkey": VALKEY}.get(product, [])).encode()


def test_what_is_new_comes_in() -> None:
    text, told = refreshed(TEXT, _feed, TODAY)
    products = releases_of(read(text, "new")).products
    redis, valkey = products["redis"], products["valkey"]
    assert {product.as_of for product in products.values() if not product.by_hand} == {TODAY}
    assert redis.releases[0].date == datetime.date(2026, 12, 20)
    assert redis.releases[0].versions == ("9.0.1", "8.10.4")
    assert not redis.releases[0].security
    assert redis.series["9.0"].supported_until is None
    assert valkey.series["10.0"].supported_until == datetime.date(2029, 11, 30)
    assert "3.2" not in redis.series
    assert sorted(release.date for release in valkey.releases)[::-1] == [release.date for release in valkey.releases]
    assert told == [
        'Redis: "9.0": {released: "2026-12-01"}',
        'Redis: - {date: "2026-12-20", versions: ["9.0.1", "8.10.4"]}',
        'Valkey: "10.0": {released: "2026-11-30", supported_until: "2029-11-30"}',
        'Valkey: - {date: "2026-11-30", versions: ["10.0.0"]}',
        "Valkey 9.1: its last day is 2029-05-19 there and None here, which is not changed",
    ]


def test_everything_else_stays_as_it_was() -> None:
    text, _ = refreshed(TEXT, _feed, TODAY)
    before, after = TEXT.splitlines(), text.splitlines()
    gone = [line for line in before if line not in after]
    assert all("as_of" in line for line in gone)
    assert len(after) == len(before) + 4


def test_a_second_time_there_is_nothing_new() -> None:
    once, _ = refreshed(TEXT, _feed, TODAY)
    twice, told = refreshed(once, _feed, TODAY)
    assert twice == once
    assert not [line for line in told if "not changed" not in line]


def test_the_command_reads_saved_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "releases.yaml"
    table.write_text(TEXT, encoding="utf-8")
    for product in read_table(TABLE).products:
        (tmp_path / f"{product}.json").write_bytes(_feed(product))
    monkeypatch.setattr(releases_refresh, "TABLE", table)
    assert releases_refresh.main(["--from", str(tmp_path)]) == 0
    assert "Redis: - {date:" in capsys.readouterr().out
    assert read_table(table).products["redis"].releases[0].versions == ("9.0.1", "8.10.4")


def test_an_answer_of_another_shape_changes_nothing() -> None:
    with pytest.raises(ValueError, match="cycle"):
        refreshed(TEXT, lambda _: b'[{"version": "1"}]', TODAY)
