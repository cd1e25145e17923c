"""What WAL-G's JSON means. The binary cannot be had here: the answers are written after its documented format."""

from __future__ import annotations

from typing import Any

import pytest

from dbwatch.engines.backup.record import Archive, Gap, Kind, Repository, Seen
from dbwatch.engines.backup.tools.walg_list import seen_of
from dbwatch.engines.backup.tools.walname import lies_before, name_after, name_at
from dbwatch.errors import CheckError
from dbwatch.model import Reason
from tests.unit.backup.answers import node

FULL = {
    "backup_name": "base_0000000100000000000000C4",
    "time": "2026-11-19T01:10:02.123456789Z",
    "wal_file_name": "0000000100000000000000C4",
    "storage_name": "default",
    "start_time": "2026-11-19T01:00:00.5Z",
    "finish_time": "2026-11-19T01:10:00.25Z",
    "date_fmt": "%Y-%m-%dT%H:%M:%S.%fZ",
    "hostname": "db",
    "data_dir": "/var/lib/postgresql/17/main",
    "pg_version": 170002,
    "start_lsn": 3288334376,
    "finish_lsn": 3305111552,
    "is_permanent": True,
    "system_identifier": 7710116559694904388,
    "uncompressed_size": 900000000,
    "compressed_size": 300000000,
}
DELTA = {
    **FULL,
    "backup_name": "base_0000000100000000000000C9_D_0000000100000000000000C4",
    "wal_file_name": "0000000100000000000000C9",
    "is_permanent": False,
    "start_lsn": "0/C9000028",
    "finish_lsn": "0/C9000100",
}
UNKNOWN_TIME = "0001-01-01T00:00:00Z"
LOG = {
    "id": 1,
    "parent_id": 0,
    "switch_point_lsn": 0,
    "start_segment": "0000000100000000000000C4",
    "end_segment": "0000000100000000000000CF",
    "segments_count": 12,
    "missing_segments": [],
    "segment_range_size": 12,
    "status": "OK",
}


def read(backups: Any, log: Any = None) -> Seen:
    return seen_of(node(backups, "wal-g"), None if log is None else node(log, "wal-g"), "", 1000.0, "wal-g …")


def test_every_fact_of_a_backup() -> None:
    full, delta = read([FULL, DELTA]).backups
    assert (full.kind, full.label, full.repository) == (Kind.FULL, "base_0000000100000000000000C4", "")
    assert full.started_at_seconds == 1795050000.5
    assert full.finished_at_seconds == 1795050600.25
    assert (full.size_bytes, full.stored_bytes) == (900000000, 300000000)
    assert (full.first_wal, full.last_wal) == ("0000000100000000000000C4", "0000000100000000000000C4")
    assert (full.permanent, full.system_identifier) == (True, "7710116559694904388")
    assert (delta.kind, delta.reference) == (Kind.INCREMENTAL, "base_0000000100000000000000C4")
    assert (delta.last_wal, delta.permanent) == ("0000000100000000000000C9", False)


def test_without_details() -> None:
    """`time` is when the backup's summary was stored, which is at its end."""
    brief = {key: FULL[key] for key in ("backup_name", "time", "wal_file_name", "storage_name")}
    (backup,) = read([brief]).backups
    assert backup.finished_at_seconds == pytest.approx(1795050602.123456)
    assert (backup.started_at_seconds, backup.size_bytes, backup.last_wal) == (None, None, None)


def test_the_older_keys() -> None:
    old = {
        "backup_name": "base_0000000100000000000000C4",
        "creation_time": UNKNOWN_TIME,
        "modification_time": "2026-11-19T01:10:02Z",
        "wal_file_name": "0000000100000000000000C4",
        "start_time": UNKNOWN_TIME,
        "finish_time": UNKNOWN_TIME,
        "uncompressed_size": 0,
        "system_identifier": None,
    }
    (backup,) = read([old]).backups
    assert backup.finished_at_seconds == 1795050602.0
    assert (backup.started_at_seconds, backup.size_bytes, backup.system_identifier) == (None, None, None)


def test_no_time_at_all_is_not_the_year_one() -> None:
    times = {"time": UNKNOWN_TIME, "start_time": UNKNOWN_TIME, "finish_time": UNKNOWN_TIME}
    (backup,) = read([{**FULL, **times}]).backups
    assert (backup.started_at_seconds, backup.finished_at_seconds) == (None, None)


def test_storages() -> None:
    seen = read([FULL, {**FULL, "storage_name": "failover_oslo"}])
    assert seen.repositories == (Repository(""), Repository("failover_oslo"))
    assert [b.repository for b in seen.backups] == ["", "failover_oslo"]


@pytest.mark.parametrize("nothing", [[], None])
def test_no_backup(nothing: Any) -> None:
    seen = read(nothing)
    assert seen.repositories == (Repository("", problem="WAL-G sees no backup in its storage"),)


def test_log() -> None:
    seen = read([FULL], [LOG, {**LOG, "id": 2, "start_segment": "0000000200000000000000D0", "end_segment": "bad"}])
    assert seen.archives == (Archive(first_wal="0000000100000000000000C4", last_wal="0000000100000000000000CF"),)
    assert seen.gaps == ()
    assert read([FULL]).archives is None, "it was not asked"


def test_a_gap() -> None:
    missing = [f"0000000100000000000000C{digit}" for digit in "56789"]
    (gap,) = read([FULL], [{**LOG, "status": "LOST_SEGMENTS", "missing_segments": missing}]).gaps
    few = ", ".join(missing[:3])
    assert gap == Gap(f"timeline 1 lacks 5 files of log: {few}, …", missing_files=5)
    (gap,) = read([FULL], [{**LOG, "status": "LOST_SEGMENTS"}]).gaps
    assert gap == Gap("timeline 1: files of log are lost")


@pytest.mark.parametrize("backups", [{}, [3], [{"finish_time": "soon"}], [{"uncompressed_size": -5}], "none"])
def test_nonsense(backups: Any) -> None:
    with pytest.raises(CheckError, match="wal-g printed JSON that makes no sense") as caught:
        read(backups)
    assert caught.value.reason is Reason.BAD_RESULT


@pytest.mark.parametrize(
    ("first", "start", "finish", "last"),
    [
        ("0000000100000000000000C4", 0xC4000028, 0xC5000000, "0000000100000000000000C4"),
        ("0000000100000000000000C4", 0xC4000028, 0xC5000001, "0000000100000000000000C5"),
        ("00000003000000AB00000003", 0xAB_C0000028, 0xAC_00000028, "00000003000000AC00000000"),
        ("0000000100000000000000C4", 0x28, 0x100, None),
    ],
)
def test_the_file_that_holds_a_position(first: str, start: int, finish: int, last: str | None) -> None:
    """The third is of a server with files of 1 GiB; the fourth is no file of that position whatever their size."""
    assert name_after(first, start, finish) == last


def test_names() -> None:
    assert name_at(0x1_0000_0000, "00000007", 16 * 1024**2) == "000000070000000100000000"
    assert lies_before("000000010000000000000001", "000000010000000000000002")
    assert not lies_before("000000010000000000000001", "000000020000000000000002"), "another timeline"
    assert not lies_before(None, "000000010000000000000002")
