"""Volumes that are full, out of inodes, damaged and gone, made for real; skipped where nothing may be mounted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbwatch.config import HostPlace
from dbwatch.model import Outcome, Status
from tests.harness.waiting import eventually
from tests.host.watched import looking, mounted

MIB = 2**20


def look(place: HostPlace, check: str) -> Outcome:
    with looking(place, check) as lane:
        return lane.run(check)


def test_a_volume_fills_up_and_loses_its_inodes(tmp_path: Path) -> None:
    with mounted(tmp_path / "data", "-t", "tmpfs", "-o", "size=16m,nr_inodes=40", "tmpfs") as data:
        place = HostPlace(volumes={"data": data})
        for mebibytes, expected in ((8, Status.OK), (13, Status.WARNING), (15, Status.CRITICAL)):
            (data / "file").write_bytes(b"x" * (mebibytes * MIB))
            outcome = look(place, "volume_full")
            assert outcome.status is expected, mebibytes
            assert outcome.rows[0].values["used_bytes"] == mebibytes * MIB
        (data / "file").unlink()
        assert look(place, "inodes_exhausted").status is Status.OK
        for number in range(36):
            (data / str(number)).touch()
        assert look(place, "inodes_exhausted").status is Status.CRITICAL
        assert look(place, "volume_full").status is Status.OK


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A small file system of its own, and the name of its device."""
    image = tmp_path / "image"
    image.write_bytes(b"")
    os.truncate(image, 16 * MIB)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "10", str(image)], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be made here: {error}")
    with mounted(tmp_path / "data", "-o", "loop,errors=remount-ro", str(image)) as data:
        device = data.stat().st_dev
        uevent = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/uevent").read_text()
        yield data, uevent.split("DEVNAME=")[1].split()[0]


def test_what_is_reserved_for_root_is_not_available(ext4: tuple[Path, str]) -> None:
    data, _ = ext4
    values = look(HostPlace(volumes={"data": data}), "volume_full").rows[0].values
    seen = os.statvfs(data)
    assert seen.f_bfree - seen.f_bavail > 100, "the file system was made to reserve a tenth"
    assert values["available_bytes"] == seen.f_bavail * seen.f_frsize
    assert values["used_bytes"] == (seen.f_blocks - seen.f_bfree) * seen.f_frsize


def test_a_disk_is_found_below_its_volume(ext4: tuple[Path, str]) -> None:
    data, device = ext4
    with (data / "file").open("wb") as file:
        file.write(b"x" * MIB)
        os.fsync(file.fileno())
    (row,) = look(HostPlace(volumes={"data": data}), "disk_slow").rows
    assert row.labels == {"device": device}
    assert (row.values["writes"] or 0) > 0


def test_a_file_system_that_finds_itself_damaged(ext4: tuple[Path, str]) -> None:
    data, device = ext4
    place = HostPlace(volumes={"data": data})
    sound = look(place, "file_system_failing")
    assert sound.status is Status.OK
    assert sound.rows[0].values == {"read_only": 0.0, "errors": 0.0}
    trigger = Path(f"/sys/fs/ext4/{device}/trigger_fs_error")
    try:
        trigger.write_text("a test of dbwatch\n")
    except OSError as error:
        pytest.skip(f"this kernel cannot be told to find an error: {error}")
    eventually(lambda: look(place, "file_system_failing").status is Status.CRITICAL)
    (row,) = look(place, "file_system_failing").rows
    assert row.values["read_only"] == 1.0
    assert (row.values["errors"] or 0) >= 1


def test_a_volume_that_is_gone(tmp_path: Path) -> None:
    place = HostPlace(volumes={"data": tmp_path, "wal": tmp_path / "gone"})
    outcome = look(place, "volume_unreachable")
    assert outcome.status is Status.CRITICAL
    assert [finding.key for finding in outcome.findings] == ["wal"]
    assert look(place, "volume_full").status is Status.UNKNOWN
