"""What the table of releases says of which version on which day."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace

import pytest

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.engines import releases
from dbwatch.engines.redis import versions as redis_versions
from dbwatch.engines.releases import TABLE, Product, known_releases, missed_by, read_table
from dbwatch.engines.versions import outdated_row, unsupported_row
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import Engine, RawRow, Reason, Status
from dbwatch.runner.contract import fit
from dbwatch.runner.verdict import judge
from tests.checks.cases import CHECKS

POSTGRES = known_releases("postgresql")
PRODUCTS = read_table(TABLE).products
LOOKED = datetime.date(2026, 11, 20)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _verdict(check: Check, row: RawRow, today: datetime.date) -> tuple[Status, str]:
    declared = {name: value for name, value in row.items() if name in check.columns}
    verdict = judge(check, fit(check, [declared]), None, 0.0, today=today)
    return verdict.status, verdict.summary


def _outdated(version: str, today: datetime.date = LOOKED, product: str = "postgresql") -> tuple[Status, str]:
    row = outdated_row(known_releases(product), _version(version), version, today)
    return _verdict(_check("version_outdated", product), row, today)


def _unsupported(version: str, today: datetime.date = LOOKED, product: str = "postgresql") -> tuple[Status, str]:
    row = unsupported_row(known_releases(product), _version(version), version, today)
    return _verdict(_check("version_unsupported", product), row, today)


def _check(name: str, product: str) -> Check:
    if product == "postgresql":
        return load_check(CHECKS / "postgres" / f"{name}.yaml", Engine.POSTGRES)
    if product == "pgbouncer":
        return load_check(CHECKS / "pgbouncer" / f"pgbouncer_{name}.yaml", Engine.PGBOUNCER)
    return load_check(CHECKS / "redis" / f"redis_{name}.yaml", Engine.REDIS)


# -- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=lambda product: product.name)
def test_the_table_is_sound(product: Product) -> None:
    assert product.as_of <= datetime.datetime.now(tz=datetime.UTC).date()
    dates = [release.date for release in product.releases]
    assert dates == sorted(dates, reverse=True)
    assert dates[0] <= product.as_of
    seen: set[str] = set()
    for release in product.releases:
        assert release.versions
        assert not seen & set(release.versions), release
        seen |= set(release.versions)
        for version in release.versions:
            name = product.series_of(_version(version))
            assert name is not None, version
            assert release.patch_of(name) == int(version.rpartition(".")[2])
    for name, series in product.series.items():
        patches = [(patch, r.date) for r in product.releases if (patch := r.patch_of(name)) is not None]
        assert patches == sorted(patches, reverse=True), name
        assert series.supported_until is None or series.left_out is None
        if series.released is not None:
            assert all(date >= series.released for _, date in patches), name
            assert (series.supported_until or series.left_out or datetime.date.max) > series.released
    for version in product.repackaged:
        assert product.series_of(_version(version)), version


def test_the_table_has_every_patch_of_postgresql() -> None:
    for name, series in POSTGRES.series.items():
        assert series.released is not None
        assert series.supported_until is not None
        assert 4.9 < (series.supported_until - series.released).days / 365.25 < 5.3
        patches = [(patch, r.date) for r in POSTGRES.releases if (patch := r.patch_of(name)) is not None]
        if patches:
            assert patches[-1] == (0, series.released)
            assert all(date <= series.supported_until for _, date in patches)
            # 18.5 was never released.
            skipped = {5} if name == "18" else set()
            assert {patch for patch, _ in patches} == set(range(patches[0][0] + 1)) - skipped


def test_the_table_tells_its_age(capsys: pytest.CaptureFixture[str]) -> None:
    code = releases.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["PostgreSQL", "Redis", "Valkey", "MariaDB", "MySQL", "PgBouncer"]
    assert all("days ago: " in line for line in lines)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    assert code == any(today - product.as_of > releases.OLD_TABLE for product in PRODUCTS.values())


@pytest.mark.parametrize(
    ("product", "version", "series"),
    [
        ("postgresql", "17.3", "17"),
        ("postgresql", "9.6.24", None),
        ("redis", "8.10.2", "8.10"),
        ("redis", "8.1.2", None),
        ("redis", "7.2.4", "7.2"),
        ("valkey", "8.1.0", "8.1"),
        ("mariadb", "10.11.6", "10.11"),
        ("mysql", "26.10.0", "26.10"),
        ("mysql", "8.4", "8.4"),
    ],
)
def test_the_series_of_a_version(product: str, version: str, series: str | None) -> None:
    assert known_releases(product).series_of(_version(version)) == series


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "newest", "missed"),
    [("18.4", "18.6", 1), ("18.5", "18.6", 1), ("18.6", None, 0), ("15.18", "15.20", 2), ("17.10", "17.12", 2)],
)
def test_what_a_version_has_missed(version: str, newest: str | None, missed: int) -> None:
    found = missed_by(POSTGRES, _version(version))
    assert (found.newest, len(found.releases)) == (newest, missed)


def test_one_that_is_newer_than_the_table_is_never_outdated() -> None:
    for version in ("18.6", "18.7", "17.13"):
        assert _outdated(version)[0] is Status.OK
    for version in ("19.0", "21.3"):
        with pytest.raises(Skipped, match=f"PostgreSQL {version[:2]} is not in the table of releases of 2026"):
            _outdated(version)


def test_two_weeks_pass_before_a_vulnerable_server_is_found() -> None:
    assert _outdated("17.11", datetime.date(2026, 11, 26))[0] is Status.OK
    status, summary = _outdated("17.11", datetime.date(2026, 11, 27))
    assert status is Status.WARNING
    assert summary == "17.11 is 1 minor release behind 17.12, with security fixes"
    assert _outdated("15.18")[1] == "15.18 is 2 minor releases behind 15.20, 2 of them with security fixes"


def test_a_release_without_security_fixes_may_wait_for_two_months() -> None:
    only = tuple(release for release in POSTGRES.releases if "18.3" in release.versions)
    check = _check("version_outdated", "postgresql")

    def status(days: int) -> Status:
        today = datetime.date(2026, 2, 26) + datetime.timedelta(days=days)
        table = replace(POSTGRES, as_of=today, releases=only)
        return _verdict(check, outdated_row(table, (18, 2), "18.2", today), today)[0]

    assert [status(days) for days in (59, 60, 61)] == [Status.OK, Status.OK, Status.WARNING]


def test_a_release_after_which_data_has_to_be_looked_at_is_told() -> None:
    status, summary = _outdated("14.3")
    assert status is Status.WARNING
    assert "indexes built with CONCURRENTLY before it may miss rows (2022-06-16)" in summary
    assert "CONCURRENTLY" not in _outdated("14.4")[1]


def test_an_old_table_says_so_itself() -> None:
    later = POSTGRES.as_of + datetime.timedelta(days=181)
    status, summary = _outdated("18.6", later)
    assert status is Status.WARNING
    assert summary == (
        f"no release newer than 18.6 is known as of {POSTGRES.as_of}; "
        f"dbwatch knows the releases up to {POSTGRES.as_of} only, update it"
    )
    assert _outdated("18.6", POSTGRES.as_of + datetime.timedelta(days=180))[0] is Status.OK


def test_the_end_of_a_major() -> None:
    assert _unsupported("14.24") == (
        Status.WARNING,
        "PostgreSQL 14 had its last release on 2026-11-12 and gets no fixes any more; 18 is supported until 2030-11-14",
    )
    assert _unsupported("15.20", datetime.date(2027, 5, 15))[0] is Status.OK
    status, summary = _unsupported("15.20", datetime.date(2027, 5, 16))
    assert status is Status.WARNING
    assert "has its last release on 2027-11-11, in 179 days" in summary
    with pytest.raises(Skipped, match="PostgreSQL 19 is not in the table of releases of 2026"):
        _unsupported("19.0")


def test_on_its_last_day_a_major_is_still_supported() -> None:
    assert "has its last release on 2026-11-12, in 0 days" in _unsupported("14.24", datetime.date(2026, 11, 12))[1]


# -- Redis and Valkey -------------------------------------------------------------------------------------------------


def test_redis_that_misses_security_releases() -> None:
    assert _outdated("7.4.9", product="redis") == (
        Status.WARNING,
        "7.4.9 is 2 minor releases behind 7.4.11, 2 of them with security fixes",
    )
    assert _outdated("8.10.2", product="redis")[0] is Status.OK
    assert _outdated("8.10.1", datetime.date(2026, 10, 2), "redis")[0] is Status.OK
    assert _outdated("8.10.1", datetime.date(2026, 10, 3), "redis")[0] is Status.WARNING


def test_where_the_table_has_gaps_it_does_not_count() -> None:
    assert _outdated("8.1.2", product="valkey") == (Status.WARNING, "8.1.2 is behind 8.1.11, with security fixes since")


def test_a_version_that_a_distribution_mends_is_not_found() -> None:
    for version in ("7.0.15", "6.0.16"):
        assert _outdated(version, product="redis")[0] is Status.OK
        assert _unsupported(version, product="redis")[0] is Status.OK
    row = unsupported_row(known_releases("redis"), (7, 0, 15), "7.0.15", LOOKED)
    assert str(row["told"]).endswith("as a package of Debian 12 and Ubuntu 24.04 it is mended under the same number")


def test_the_end_of_a_series() -> None:
    status, summary = _unsupported("7.0.14", product="redis")
    assert status is Status.WARNING
    assert summary.startswith(
        "Redis 7.0 is not part of the security releases since 2024-10-02 and gets no fixes any more"
    )
    assert summary.endswith("; the newest is 8.10")
    assert _unsupported("7.4.1", product="redis")[0] is Status.OK
    assert _unsupported("8.0.2", product="valkey")[0] is Status.OK
    assert _unsupported("8.0.2", datetime.date(2027, 4, 1), "valkey")[0] is Status.WARNING


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"redis_version": "7.4.9"}, "7.4.9 is 2 minor releases behind 7.4.11"),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.11"}, "no release newer than 8.1.11 is known"),
    ],
)
def test_a_server_is_what_it_says_it_is(info: Mapping[str, str], expected: str) -> None:
    (row,) = redis_versions.outdated(info)
    assert str(row["told"]).startswith(expected)


@pytest.mark.parametrize(
    "info",
    [
        {"redis_version": "7.4.0", "dragonfly_version": "df-v1.30"},
        {"redis_version": "6.3.4", "keydb_version": "6.3.4"},
        {"redis_version": "7.0.7", "os": "Amazon ElastiCache"},
    ],
)
def test_of_others_that_call_themselves_redis_nothing_is_said(info: Mapping[str, str]) -> None:
    for probe in (redis_versions.outdated, redis_versions.unsupported):
        with pytest.raises(Skipped) as skipped:
            probe(info)
        assert skipped.value.reason is Reason.PLATFORM


def test_a_server_that_does_not_say_what_it_is() -> None:
    with pytest.raises(CheckError, match="does not tell the version"):
        redis_versions.outdated({})


# -- PgBouncer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "outdated", "unsupported"),
    [
        ("1.26.1", Status.OK, Status.OK),
        ("1.26.0", Status.WARNING, Status.OK),
        ("1.25.2", Status.OK, Status.WARNING),
        ("1.25.0", Status.WARNING, Status.WARNING),
        ("1.18.0", Status.OK, Status.OK),
    ],
)
def test_a_series_of_pgbouncer_ends_with_the_first_security_release_without_it(
    version: str, outdated: Status, unsupported: Status
) -> None:
    """1.18.0 is what Debian 12 mends under that number."""
    assert _outdated(version, product="pgbouncer")[0] is outdated
    assert _unsupported(version, product="pgbouncer")[0] is unsupported
