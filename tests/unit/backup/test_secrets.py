"""A tool that says everything it knows, and what of that gets into reports, metrics and the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbwatch.cli import main
from tests.own_logging import own_logging

GOSSIP = """
s3crets() {
  env
  echo 'cipher-pass=inner-s3cret'
  echo 'conninfo = host=db user=barman password=conninfo-s3cret dbname=postgres'
  echo 'postgresql://barman:url-s3cret@db/postgres'
}
"""
PGBACKREST = """
echo "ERROR: [042]: cannot read with cipher pass '$PGBACKREST_REPO1_CIPHER_PASS'" >&2
s3crets >&2
cat <<END
[{"name": "main", "backup": [], "repo": [{"key": 1, "cipher": "aes-256-cbc", "status": {"code": 99, "message":
"[FormatError] unable to load info file '/r/backup.info' or '/r/backup.info.copy':\\nFormatError: key/value found \
outside of section at line 9: cipher-pass=\\"inner-s3cret\\""}}], "why": "$PGBACKREST_REPO1_CIPHER_PASS"}]
END
"""
BARMAN = """
case "$*" in
  *list-backup*) echo '{"main": [{"backup_id": "20261120T142205", "status": "FAILED"}]}';;
  *show-backup*) echo '{"main": {"backup_id": "20261120T142205", "status": "FAILED",
    "error": "connection failed: host=db password=conninfo-s3cret"}}';;
  *check*) echo '{"main": {"ssh": {"status": "FAILED", "hint": "postgresql://barman:url-s3cret@db/postgres"}},
    "_ERROR": ["password=conninfo-s3cret"]}';;
  *) s3crets >&2; exit 1;;
esac
"""
WALG = """
echo "ERROR: 2026/11/20 01:02:03.000004 bucket of $AWS_ACCESS_KEY_ID with $AWS_SECRET_ACCESS_KEY is not there" >&2
s3crets >&2
s3crets
exit 1
"""
EVERYBODYS = {
    "DATABASE_URL": "postgresql://dbwatch:own-s3cret@db/postgres",
    "PGPASSWORD": "own-s3cret",
    "PGBACKREST_REPO1_CIPHER_PASS": "environment-s3cret",
    "AWS_ACCESS_KEY_ID": "AKIA-s3cret",
}


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with own_logging():
        yield


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in EVERYBODYS.items():
        monkeypatch.setenv(name, value)
    for name, text in (("pgbackrest", PGBACKREST), ("barman", BARMAN), ("wal-g", WALG)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{GOSSIP}{text}")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "walg.env").write_text("AWS_SECRET_ACCESS_KEY=file-s3cret\n")
    file = tmp_path / "dbwatch.yaml"
    file.write_text(
        "targets:\n"
        f"  - {{name: a, engine: backup, pgbackrest: {{stanza: main, command: [{tmp_path}/pgbackrest, "
        "--repo1-cipher-pass=argument-s3cret]}}\n"
        f"  - {{name: b, engine: backup, barman: {{server: main, command: {tmp_path}/barman}}}}\n"
        f"  - {{name: c, engine: backup, walg: {{command: {tmp_path}/wal-g, env_file: {tmp_path}/walg.env}}}}\n"
    )
    return file


@pytest.mark.parametrize("form", ["json", "prometheus"])
def test_no_secret_of_a_tool_gets_out(config: Path, form: str, capfd: pytest.CaptureFixture[str]) -> None:
    code = main(["check", "--log-level", "debug", "--config", str(config), "--format", form, "--rows"])
    said = "".join(capfd.readouterr())
    assert "s3cret" not in said
    assert code == 2, said
    if form == "json":
        assert "at line 9" in said
        assert "password=***" in said
        assert "bucket of *** with *** is not there" in said
    else:
        assert "dbwatch_backup_errors" in said
