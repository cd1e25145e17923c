"""Which files count as backups. What the check says of them is in tests/checks/backup."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbwatch.config import Dumps
from dbwatch.engines import dumps as module
from dbwatch.engines.dumpfile import Kind, inspect
from dbwatch.engines.dumps import DumpsSeen, scan_dumps
from tests.harness.binaries import postgres_client
from tests.harness.postgres import Postgres

NOW = 1_800_000_000.0
SQL = b"--\n-- PostgreSQL database dump\n--\n" + b"INSERT INTO t VALUES (1);\n" * 2000
WHOLE = SQL + b"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n"


def put(folder: Path, name: str, content: bytes, age_seconds: float = 600.0) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (NOW - age_seconds, NOW - age_seconds))
    return path


def scan(folder: Path, pattern: str = "*") -> DumpsSeen:
    return scan_dumps(Dumps(folder, pattern), NOW)


@pytest.fixture(scope="module")
def filled(newest_pg: Postgres) -> Iterator[str]:
    """A database with something in it."""
    name = newest_pg.create_database("dumped")
    newest_pg.sql("create table t as select g, md5(g::text) from generate_series(1, 5000) as g", dbname=name)
    yield name
    newest_pg.drop_database(name)


@pytest.mark.parametrize("form", ["-Fc", "-Ft", "-Fp", "-Fd"])
def test_what_pg_dump_writes_is_whole_and_a_piece_of_it_is_not(
    newest_pg: Postgres, filled: str, tmp_path: Path, form: str
) -> None:
    out = tmp_path / "dump"
    subprocess.run(
        [postgres_client("pg_dump"), form, "-f", out, newest_pg.url(dbname=filled)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    file = out / "toc.dat" if out.is_dir() else out
    kind, problem = inspect(file)
    assert problem is None
    assert kind is {"-Fc": Kind.ARCHIVE, "-Fd": Kind.ARCHIVE, "-Ft": Kind.TAR, "-Fp": Kind.SQL}[form]
    if file is out:
        whole = file.read_bytes()
        for share in (0.3, 0.6, 0.9):
            file.write_bytes(whole[: int(len(whole) * share)])
            assert inspect(file)[1] is not None, f"a file cut off at {share:.0%} passes for whole"


def test_a_gzip_is_unpacked_to_its_end(tmp_path: Path) -> None:
    packed = gzip.compress(WHOLE)
    assert inspect(put(tmp_path, "whole.gz", packed)) == (Kind.GZIP, None)
    assert inspect(put(tmp_path, "two.gz", gzip.compress(SQL) + gzip.compress(WHOLE))) == (Kind.GZIP, None)
    for name, content in {
        "cut.gz": packed[:-20],
        "inner.gz": gzip.compress(SQL),
        "damaged.gz": packed[:40] + b"????" + packed[44:],
        "nothing.gz": gzip.compress(b""),
        "second.gz": gzip.compress(SQL) + packed[:-20],
    }.items():
        assert inspect(put(tmp_path, name, content))[1] is not None, name


def test_a_gzip_bomb_is_not_unpacked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbwatch.engines.dumpfile._MOST_UNPACKED_BYTES", 10_000_000)
    bomb = gzip.compress(bytes(100_000_000))
    assert inspect(put(tmp_path, "bomb.gz", bomb)) == (Kind.GZIP, None)


def test_the_newest_whole_one_counts(tmp_path: Path) -> None:
    put(tmp_path, "1.sql", WHOLE, 300)
    put(tmp_path, "2.sql", WHOLE, 200)
    put(tmp_path, "3.sql", SQL, 100)
    put(tmp_path, ".hidden", b"", 50)
    seen = scan(tmp_path)
    assert (seen.newest_name, seen.newest_at_seconds) == ("2.sql", NOW - 200)
    assert (seen.complete, seen.incomplete) == (2, 1)
    assert seen.newest_bytes == len(WHOLE)
    assert seen.usual_bytes == len(WHOLE)
    assert seen.problem == "3.sql is cut off: its end is missing"


def test_a_link_to_the_latest_is_not_a_second_backup(tmp_path: Path) -> None:
    put(tmp_path, "1.sql", WHOLE)
    (tmp_path / "latest.sql").symlink_to("1.sql")
    (tmp_path / "broken.sql").symlink_to("nowhere")
    assert scan(tmp_path).complete == 1


def test_a_folder_written_by_pg_dump_is_one_backup(tmp_path: Path) -> None:
    put(tmp_path, "monday/toc.dat", b"PGDMPx")
    put(tmp_path, "monday/3298.dat.gz", b"x" * 994)
    put(tmp_path, "started/3298.dat.gz", b"x")
    seen = scan(tmp_path)
    assert (seen.complete, seen.newest_bytes) == (1, 1000)


def test_the_path_may_be_one_file_and_the_pattern_may_go_down(tmp_path: Path) -> None:
    file = put(tmp_path, "2026/11/orders.sql", WHOLE)
    assert scan(file).complete == 1
    assert scan(tmp_path, "*/*/orders.sql").complete == 1
    assert scan(tmp_path, "**/*.sql").complete == 1
    assert scan(tmp_path, "*.sql").complete == 0


def test_what_is_not_a_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sql")
    (tmp_path / "folder.sql").mkdir()
    assert scan(tmp_path) == DumpsSeen()


def test_a_missing_folder_is_unreadable_with_any_pattern(tmp_path: Path) -> None:
    for pattern in ("*", "*/*.sql"):
        seen = scan(tmp_path / "gone", pattern)
        assert seen.unreadable is not None
        assert "No such file" in seen.unreadable
        assert seen.newest_at_seconds is None


def test_only_the_newest_are_opened_and_each_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def count(path: Path) -> tuple[Kind, str | None]:
        opened.append(path)
        return Kind.SQL, None

    monkeypatch.setattr(module, "inspect", count)
    for number in range(250):
        put(tmp_path, f"{number}.sql", WHOLE, 600 + number)
    assert scan(tmp_path).complete == module.MOST_FILES
    assert scan(tmp_path).newest_name == "0.sql"
    assert len(opened) == module.MOST_FILES
    put(tmp_path, "0.sql", WHOLE + b"\n", 500)
    scan(tmp_path)
    assert len(opened) == module.MOST_FILES + 1, "a changed file must be looked at again"
