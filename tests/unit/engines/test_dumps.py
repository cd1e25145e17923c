"""Which files count as backups, and of what. What the checks say of them is in tests/checks/backup."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dbwatch.config import Dumps
from dbwatch.engines import dumps as module
from dbwatch.engines.backup.files import dumps_report
from dbwatch.engines.backup.record import State
from dbwatch.engines.dumpfile import Kind, inspect
from dbwatch.engines.dumpname import DumpName, read_name
from dbwatch.engines.dumps import DumpsSeen, scan_dumps
from dbwatch.errors import CheckError
from dbwatch.model import Reason

NOW = 1_800_000_000.0
SQL = b"--\n-- PostgreSQL database dump\n--\n" + b"INSERT INTO t VALUES (1);\n" * 2000
WHOLE = SQL + b"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n"
DAY = 86_400.0


def put(folder: Path, name: str, content: bytes, age_seconds: float = 600.0) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (NOW - age_seconds, NOW - age_seconds))
    return path


def scan(folder: Path, pattern: str = "*") -> DumpsSeen:
    return scan_dumps(Dumps(folder, pattern), NOW)


def whole(seen: DumpsSeen) -> int:
    return sum(file.problem is None for file in seen.files)


@pytest.mark.parametrize(
    ("pack", "kind"), [(gzip.compress, Kind.GZIP), (lzma.compress, Kind.XZ), (bz2.compress, Kind.BZIP2)]
)
def test_what_python_unpacks_is_unpacked_to_its_end(tmp_path: Path, pack: object, kind: Kind) -> None:
    assert callable(pack)
    packed = pack(WHOLE)
    assert inspect(put(tmp_path, "whole", packed)) == (kind, None)
    assert inspect(put(tmp_path, "two", pack(SQL) + pack(WHOLE))) == (kind, None)
    for name, content in {
        "cut": packed[:-20],
        "inner": pack(SQL),
        "damaged": packed[:40] + b"????" + packed[44:],
        "nothing": pack(b""),
        "second": pack(SQL) + packed[:-20],
    }.items():
        assert inspect(put(tmp_path, name, content))[1] is not None, name


@pytest.mark.parametrize(("program", "kind"), [("zstd", Kind.ZSTD), ("lz4", Kind.LZ4)])
@pytest.mark.parametrize("has_program", [True, False], ids=["unpacked", "walked"])
def test_frames_are_followed_to_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, kind: Kind, has_program: bool
) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"no {program} on this machine")

    def pack(content: bytes, *options: str) -> bytes:
        return subprocess.run([found, "-c", *options], input=content, check=True, capture_output=True).stdout

    packed = pack(WHOLE)
    many = pack(os.urandom(3_000_000) + WHOLE, "-B4" if program == "lz4" else "--no-check")
    if not has_program:
        monkeypatch.setattr("dbwatch.engines.packed.shutil.which", lambda _: None)
    assert inspect(put(tmp_path, "whole", packed)) == (kind, None)
    assert inspect(put(tmp_path, "many blocks", many)) == (kind, None)
    assert inspect(put(tmp_path, "two frames", many + packed)) == (kind, None)
    for name, content in {"cut": packed[:-3], "cut early": many[: len(many) // 2], "more": packed + b"x"}.items():
        assert inspect(put(tmp_path, name, content))[1] is not None, name
    if program == "zstd":
        assert inspect(put(tmp_path, "wide window", pack(WHOLE, "--long=31"))) == (kind, None)
    inner = inspect(put(tmp_path, "inner", pack(SQL)))[1]
    assert (inner is not None) is has_program, "a writer that was killed in a pipe is seen by what is inside"


def test_a_gzip_bomb_is_not_unpacked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbwatch.engines.packed._MOST_UNPACKED_BYTES", 10_000_000)
    bomb = gzip.compress(bytes(30_000_000), 1)
    assert inspect(put(tmp_path, "bomb.gz", bomb)) == (Kind.ENDLESS, None)


def test_what_is_too_large_to_be_unpacked_is_not_called_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbwatch.engines.packed.LARGEST_UNPACKED_FILE", 100)
    put(tmp_path, "cut-2026-11-20.sql.gz", gzip.compress(WHOLE)[:-30])
    put(tmp_path, "young-2026-11-20.sql.gz", gzip.compress(WHOLE)[:-30], 10)
    young, cut = scan(tmp_path).files
    assert young.problem == "is still being written"
    assert (cut.problem, cut.doubt) == (None, "is too large to be unpacked here: whether it is whole is not known")
    for extra in range(8):
        packed = bz2.compress(WHOLE + bytes(extra))
        assert inspect(put(tmp_path, "whole.bz2", packed)) == (Kind.BZIP2, None)
        assert inspect(put(tmp_path, "cut.bz2", packed[:-1]))[1] is not None
    monkeypatch.setattr("dbwatch.engines.packed._MOST_BLOCKS", 0)
    frame = b"\x28\xb5\x2f\xfd\x00\x58" + (16 << 3 | 1).to_bytes(3, "little") + bytes(116)
    assert inspect(put(tmp_path, "long.zst", frame)) == (Kind.ENDLESS, None)


def test_a_dump_of_all_databases_needs_the_end_of_all(tmp_path: Path) -> None:
    begun = b"--\n-- PostgreSQL database cluster dump\n--\n" + WHOLE + b'--\n-- Database "crm" dump\n--\n'
    assert inspect(put(tmp_path, "all.sql", begun))[1] == "is cut off: its end is missing"
    assert inspect(put(tmp_path, "all.sql.gz", gzip.compress(begun)))[1] is not None
    ended = begun + b"--\n-- PostgreSQL database cluster dump complete\n--\n"
    assert inspect(put(tmp_path, "all.sql", ended)) == (Kind.SQL, None)


def test_what_may_not_be_read_is_unknown_and_not_a_failed_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> tuple[Kind, str | None]:
        if path.name == "toc.dat" or "20" in path.name:
            raise PermissionError(13, "Permission denied")
        return Kind.SQL, None

    monkeypatch.setattr(module, "inspect", refuse)
    put(tmp_path, "orders-2026-11-18.sql", WHOLE, DAY)
    put(tmp_path, "orders-2026-11-19.sql", WHOLE, 600)
    with pytest.raises(CheckError, match=r"orders-2026-11-19\.sql may not be read by the user") as told:
        dumps_report(Dumps(tmp_path), scan(tmp_path), NOW)
    assert told.value.reason is Reason.PRIVILEGE
    put(tmp_path, "orders.1.sql", WHOLE, 100)
    newest = dumps_report(Dumps(tmp_path), scan(tmp_path), NOW).backups[0]
    assert newest.state is State.DONE, "what is older than a whole dump does not matter"

    def closed(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "_folder", closed)
    for name in ("lost+found", "only/crm", "only/lost+found"):
        (tmp_path / name).mkdir(parents=True)
    assert dumps_report(Dumps(tmp_path, "lost+found"), scan(tmp_path, "lost+found"), NOW).backups == ()
    with pytest.raises(CheckError, match="crm may not be read"):
        dumps_report(Dumps(tmp_path / "only"), scan(tmp_path / "only"), NOW)


def test_behind_a_date_stands_the_database_where_nothing_before_it_does(tmp_path: Path) -> None:
    for day in (18, 19):
        for name in ("backup_2026-11-{}_orders", "backup_2026-11-{}_crm", "shop_2026-11-{}_full", "pg-2026-11-{}-a8{}"):
            put(tmp_path, name.format(day, day) + ".sql", WHOLE)
    put(tmp_path, "backup_2026-11-20_weekly.sql", WHOLE)
    put(tmp_path, "backup_2026-11-13_weekly.sql", WHOLE)
    assert {file.name for file in scan(tmp_path).files} == {"orders", "crm", "shop", "pg", "backup"}
    wanted = Dumps(tmp_path, databases=("full",))
    assert {file.name for file in scan_dumps(wanted, NOW).files} >= {"full", "orders"}


def test_a_name_that_is_no_text_does_not_hurt(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.sql")).write_bytes(WHOLE)
    (name,) = [file.name for file in scan(tmp_path).files]
    assert name.encode("utf-8").startswith(b"caf")


@pytest.mark.parametrize(
    ("file", "name", "dated"),
    [
        ("orders_2026-11-20_0300.dump.gz", "orders", True),
        ("orders-20261120T030000Z.sql.zst", "orders", True),
        ("2026-11-20_orders.dump", "orders", True),
        ("20261120.sql", "", True),
        ("crm-v2-2026.11.20.dump", "crm-v2", True),
        ("shop 2026-11-20 03:00:00.123.sql", "shop", True),
        ("pg_dumpall-1763600000.sql", "pg_dumpall", True),
        ("orders-mon.sql.gz", "orders", True),
        ("tuesday.sql", "", True),
        ("orders.dump.1", "orders", True),
        ("orders.sql-2026-11-20.gz", "orders", True),
        ("tenant_2.dump", "tenant_2", False),
        ("orders.dump", "orders", False),
        ("sunrise.sql", "sunrise", False),
        ("Björn's dump (1).sql", "Björn's dump (1)", False),
        (".sql", ".sql", False),
    ],
)
def test_a_name_is_what_stands_beside_the_date(file: str, name: str, dated: bool) -> None:
    assert read_name(file) == DumpName(name if name != ".sql" else "sql", dated)


def test_the_newest_comes_first_and_says_what_is_wrong(tmp_path: Path) -> None:
    put(tmp_path, "1.sql", WHOLE, 3 * DAY)
    put(tmp_path, "2.sql", WHOLE, 2 * DAY)
    put(tmp_path, "3.sql", SQL, DAY)
    put(tmp_path, "4.sql", SQL, 100)
    put(tmp_path, ".hidden", b"", 50)
    seen = scan(tmp_path).files
    assert [(file.file, file.problem, file.growing) for file in seen] == [
        ("4.sql", "is cut off: its end is missing", True),
        ("3.sql", "is cut off: its end is missing", False),
        ("2.sql", None, False),
        ("1.sql", None, False),
    ]
    report = dumps_report(Dumps(tmp_path), DumpsSeen(seen), NOW)
    assert [backup.state for backup in report.backups] == [State.RUNNING, State.FAILED, State.DONE, State.DONE]
    assert report.backups[2].size_bytes == len(WHOLE)


def test_what_does_not_recur_is_no_backup_that_is_late(tmp_path: Path) -> None:
    for name, age in {"orders_2026-11-18": 2 * DAY, "orders_2026-11-19": DAY, "before-migration": 90 * DAY}.items():
        put(tmp_path, f"{name}.sql", WHOLE, age)
    put(tmp_path, "orders_before_2025-01-01.sql", WHOLE, 600 * DAY)
    put(tmp_path, "shop_2026-11-20.sql", WHOLE, 100)
    put(tmp_path, "README", b"how to restore", 400 * DAY)

    def names(dumps: Dumps) -> set[str]:
        return {backup.name for backup in dumps_report(dumps, scan_dumps(dumps, NOW), NOW).backups}

    assert names(Dumps(tmp_path)) == {"orders", "shop"}, "a new series counts from its first file"
    assert names(Dumps(tmp_path, databases=("before-migration",))) == {"before-migration"}
    assert names(Dumps(tmp_path, "[!o-s]*")) == {"before-migration"}, "of notes and undated dumps the dumps count"
    assert names(Dumps(tmp_path, "README")) == {"README"}, "what alone matches is meant"


def test_a_link_to_the_latest_is_not_a_second_backup(tmp_path: Path) -> None:
    put(tmp_path, "1.sql", WHOLE)
    (tmp_path / "latest.sql").symlink_to("1.sql")
    (tmp_path / "broken.sql").symlink_to("nowhere")
    assert [file.file for file in scan(tmp_path).files] == ["1.sql"]


def test_a_folder_written_by_pg_dump_is_one_backup(tmp_path: Path) -> None:
    put(tmp_path, "monday/toc.dat", b"PGDMPx")
    put(tmp_path, "monday/3298.dat.gz", b"x" * 994)
    put(tmp_path, "started/3298.dat.gz", b"x", 300)
    put(tmp_path, "pictures/3298.jpg", b"x")
    started, monday = scan(tmp_path).files
    assert (monday.file, monday.size_bytes) == ("monday", 1000)
    assert (started.file, started.problem) == ("started", "is cut off: it has no table of contents")


def test_the_path_may_be_one_file_and_the_pattern_may_go_down(tmp_path: Path) -> None:
    file = put(tmp_path, "2026/11/orders.sql", WHOLE)
    assert whole(scan(file)) == 1
    assert whole(scan(tmp_path, "*/*/orders.sql")) == 1
    assert whole(scan(tmp_path, "**/*.sql")) == 1
    assert whole(scan(tmp_path, "*.sql")) == 0


def test_what_is_not_a_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sql")
    (tmp_path / "folder.sql").mkdir()
    assert scan(tmp_path) == DumpsSeen()


def test_a_missing_folder_is_unreadable_with_any_pattern(tmp_path: Path) -> None:
    for pattern in ("*", "*/*.sql"):
        seen = scan(tmp_path / "gone", pattern)
        assert seen.unreadable is not None
        assert "No such file" in seen.unreadable
        assert seen.files == ()


def test_only_the_newest_of_each_name_are_opened_and_each_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def count(path: Path) -> tuple[Kind, str | None]:
        opened.append(path)
        return Kind.SQL, None

    monkeypatch.setattr(module, "inspect", count)
    for number in range(60):
        put(tmp_path, f"orders-{20261000 + number % 30 + 1}.sql.{number}", WHOLE, 600 + number)
        put(tmp_path, f"shop-1763600{number:03}.sql", WHOLE, 6000 + number)
    assert whole(scan(tmp_path)) == 120
    assert scan(tmp_path).files[0].changed_at_seconds == NOW - 600
    assert len(opened) == 2 * module.OPENED_OF_EACH
    put(tmp_path, "shop-1763600000.sql", WHOLE + b"\n", 500)
    scan(tmp_path)
    assert len(opened) == 2 * module.OPENED_OF_EACH + 1, "a changed file must be looked at again"


def test_of_too_many_files_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 5)
    for number in range(5):
        put(tmp_path, f"tenant_{number}.sql", WHOLE)
    assert scan(tmp_path).unreadable is None
    put(tmp_path, "one more.sql", WHOLE)
    assert scan(tmp_path) == DumpsSeen(unreadable=f"more than 5 files in {tmp_path} match *: narrow `pattern`")


def test_the_number_of_files_that_are_opened_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def count(path: Path) -> tuple[Kind, str | None]:
        opened.append(path)
        return Kind.SQL, None

    monkeypatch.setattr(module, "MOST_OPENED", 10)
    monkeypatch.setattr(module, "inspect", count)
    for number in range(30):
        put(tmp_path, f"tenant_{number}.sql", WHOLE)
    assert len(scan(tmp_path).files) == 30
    assert len(opened) == 10
