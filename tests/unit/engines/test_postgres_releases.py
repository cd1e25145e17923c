"""What the table of releases says of which version on which day."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.engines.postgres.probes.versions import outdated_row, unsupported_row
from dbwatch.engines.postgres.releases import known_releases, missed_by
from dbwatch.errors import Skipped
from dbwatch.model import Engine, Facts, RawRow, Role, Status
from dbwatch.runner.contract import fit
from dbwatch.runner.verdict import judge

TABLE = known_releases()
LOOKED = datetime.date(2026, 11, 20)
CHECKS = Path(__file__).resolve().parents[3] / "checks" / "postgres"


def _facts(text: str) -> Facts:
    numbers = tuple(int(part) for part in text.split("."))
    return Facts(Engine.POSTGRES, numbers, text, Role.PRIMARY, "postgresql")


def _verdict(check: Check, row: RawRow, today: datetime.date) -> tuple[Status, str]:
    verdict = judge(check, fit(check, [row]), None, 0.0, today=today)
    return verdict.status, verdict.summary


def _outdated(version: str, today: datetime.date = LOOKED) -> tuple[Status, str]:
    check = load_check(CHECKS / "version_outdated.yaml", Engine.POSTGRES)
    return _verdict(check, outdated_row(TABLE, _facts(version), today), today)


def _unsupported(version: str, today: datetime.date = LOOKED) -> tuple[Status, str]:
    check = load_check(CHECKS / "version_unsupported.yaml", Engine.POSTGRES)
    return _verdict(check, unsupported_row(TABLE, _facts(version), today), today)


def test_the_table_is_sound() -> None:
    dates = [release.date for release in TABLE.releases]
    assert dates == sorted(dates, reverse=True)
    assert len(set(dates)) == len(dates)
    assert dates[0] <= TABLE.as_of <= datetime.datetime.now(tz=datetime.UTC).date()
    seen: set[str] = set()
    for release in TABLE.releases:
        assert not seen & set(release.versions), release
        seen |= set(release.versions)
    for number, major in TABLE.majors.items():
        assert 4.9 < (major.supported_until - major.released).days / 365.25 < 5.3
        minors = [(minor, r.date) for r in TABLE.releases if (minor := r.minor_of(number)) is not None]
        assert minors == sorted(minors, reverse=True)
        if minors:
            assert minors[-1] == (0, major.released)
            assert all(date <= major.supported_until for _, date in minors)
            # 18.5 was never released.
            skipped = {5} if number == 18 else set()
            assert {minor for minor, _ in minors} == set(range(minors[0][0] + 1)) - skipped


@pytest.mark.parametrize(
    ("version", "newest", "missed"),
    [("18.4", "18.6", 1), ("18.5", "18.6", 1), ("18.6", None, 0), ("15.18", "15.20", 2), ("17.10", "17.12", 2)],
)
def test_what_a_version_has_missed(version: str, newest: str | None, missed: int) -> None:
    found = missed_by(TABLE, _facts(version).version)
    assert (found.newest, len(found.releases)) == (newest, missed)


def test_one_that_is_newer_than_the_table_is_never_outdated() -> None:
    for version in ("18.6", "18.7", "17.13", "19.0", "21.3"):
        assert _outdated(version)[0] is Status.OK


def test_two_weeks_pass_before_a_vulnerable_server_is_found() -> None:
    assert _outdated("17.11", datetime.date(2026, 11, 26))[0] is Status.OK
    status, summary = _outdated("17.11", datetime.date(2026, 11, 27))
    assert status is Status.WARNING
    assert summary == "17.11 is 1 minor release behind 17.12, with security fixes"
    assert _outdated("15.18")[1] == "15.18 is 2 minor releases behind 15.20, 2 of them with security fixes"


def test_a_release_without_security_fixes_may_wait_for_two_months() -> None:
    table = TABLE.model_copy(update={"releases": tuple(r for r in TABLE.releases if "18.3" in r.versions)})
    check = load_check(CHECKS / "version_outdated.yaml", Engine.POSTGRES)

    def status(days: int) -> Status:
        today = datetime.date(2026, 2, 26) + datetime.timedelta(days=days)
        found = outdated_row(table.model_copy(update={"as_of": today}), _facts("18.2"), today)
        return _verdict(check, found, today)[0]

    assert [status(days) for days in (59, 60, 61)] == [Status.OK, Status.OK, Status.WARNING]


def test_a_release_after_which_data_has_to_be_looked_at_is_told() -> None:
    status, summary = _outdated("14.3")
    assert status is Status.WARNING
    assert "indexes built with CONCURRENTLY before it may miss rows (2022-06-16)" in summary
    assert "CONCURRENTLY" not in _outdated("14.4")[1]


def test_an_old_table_says_so_itself() -> None:
    later = TABLE.as_of + datetime.timedelta(days=181)
    status, summary = _outdated("18.6", later)
    assert status is Status.WARNING
    assert summary == (
        f"no release newer than 18.6 is known as of {TABLE.as_of}; "
        f"dbwatch knows the releases up to {TABLE.as_of} only, update it"
    )
    assert _outdated("18.6", TABLE.as_of + datetime.timedelta(days=180))[0] is Status.OK


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
        unsupported_row(TABLE, _facts("19.0"), LOOKED)


def test_on_its_last_day_a_major_is_still_supported() -> None:
    assert "has its last release on 2026-11-12, in 0 days" in _unsupported("14.24", datetime.date(2026, 11, 12))[1]
