"""What pg_dump really writes, of every major: whole files are whole, and a piece of one is not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dbwatch.engines.dumparchive import CutOffError, follow
from dbwatch.engines.dumpfile import Kind, inspect
from tests.harness.binaries import postgres_client
from tests.harness.postgres import Postgres

FORMS = {
    "custom.dump": (["-Fc"], Kind.ARCHIVE),
    "packed.dump": (["-Fc", "--compress=zstd"], Kind.ARCHIVE),
    "schema.dump": (["-Fc", "--schema-only"], Kind.ARCHIVE),
    "folder": (["-Fd"], Kind.ARCHIVE),
    "tar.tar": (["-Ft"], Kind.TAR),
    "plain.sql": (["-Fp"], Kind.SQL),
    "plain.sql.gz": (["-Fp", "--compress=gzip:6"], Kind.GZIP),
    "plain.sql.zst": (["-Fp", "--compress=zstd:3"], Kind.ZSTD),
    "plain.sql.lz4": (["-Fp", "--compress=lz4"], Kind.LZ4),
}


def programs() -> list[Path]:
    """pg_dump of the newest major, which reads all, and those of Debian's own packages."""
    return [postgres_client("pg_dump"), *sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))]


def dump(program: Path, server: Postgres, database: str, file: Path, options: list[str]) -> bool:
    """Whether this pg_dump has such a format and reads such a server."""
    argv: list[str | Path] = [program, *options, "-f", file, server.url(dbname=database)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    refused = ("server version mismatch", "compress", "not supported", "invalid compression", "unrecognized")
    assert done.returncode == 0 or any(text in done.stderr for text in refused), done.stderr
    return done.returncode == 0


def cuts_that_pass(file: Path, content: bytes) -> list[int]:
    """Where nothing but the archive's own structure tells that it was cut: pieces of it end like the whole."""
    likely = [at + 5 for at in range(20, len(content) - 5) if content[at : at + 5] == bytes(5)]
    passed = []
    file.write_bytes(content)
    with file.open("rb+") as stream:
        for at in sorted(likely, reverse=True)[:300]:
            stream.truncate(at)
            try:
                follow(stream, at)
            except CutOffError:
                continue
            passed.append(at)
    return passed


def test_what_pg_dump_writes_is_whole_and_a_piece_of_it_is_not(pg: Postgres, database: str, tmp_path: Path) -> None:
    pg.sql('create table "Björn\'s" as select g, md5(g::text) as m from generate_series(1, 3000) as g', dbname=database)
    pg.sql("select lo_from_bytea(0, 'large object')", dbname=database)
    tried = 0
    for position, program in enumerate(programs()):
        for name, (options, kind) in FORMS.items():
            out = tmp_path / f"{position}-{name}"
            if not dump(program, pg, database, out, options):
                continue
            tried += 1
            file = out / "toc.dat" if out.is_dir() else out
            assert inspect(file) == (kind, None), f"{program} {name}"
            content = file.read_bytes()
            for share in (0.3, 0.6, 0.95):
                file.write_bytes(content[: int(len(content) * share)])
                assert inspect(file)[1] is not None, f"{program} {name} cut off at {share:.0%} passes for whole"
            if kind is Kind.ARCHIVE:
                assert not cuts_that_pass(file, content), f"{program} {name}"
    assert tried >= 6, "the newest pg_dump reads every server"


@pytest.mark.skipif(shutil.which("pg_restore") is None, reason="no pg_restore")
def test_a_damaged_table_of_contents_is_found_by_listing(
    newest_pg: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = postgres_client("pg_restore")
    monkeypatch.setenv("PATH", str(own.parent), prepend=":")
    file = tmp_path / "orders.dump"
    assert dump(postgres_client("pg_dump"), newest_pg, "postgres", file, ["-Fc"])
    assert inspect(file) == (Kind.ARCHIVE, None)
    content = bytearray(file.read_bytes())
    content[60:200] = b"\xff" * 140
    file.write_bytes(content)
    assert inspect(file) == (Kind.ARCHIVE, "is damaged: pg_restore cannot list it")
