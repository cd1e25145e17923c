"""The sources as a whole, with scripts in place of the tools: which commands they run, and what they make of an end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dbwatch.config.backups import Backups, Barman, Pgbackrest, Walg
from dbwatch.deadline import Deadline
from dbwatch.engines.backup.record import Seen, SourceName
from dbwatch.engines.backup.tools import tool_sources
from dbwatch.errors import CheckError
from dbwatch.model import Reason
from tests.unit.backup.answers import FOLDER
from tests.unit.backup.test_walg_list import FULL, LOG

WITHIN = 30.0
PAGE = Path(__file__).resolve().parents[3] / "docs" / "backups.md"
"""Its lines for sudoers allow exactly what is run."""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    """A program of this text, which also notes how it was called."""

    def make(text: str) -> tuple[str, ...]:
        program = tmp_path / "tool"
        program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path / "calls"}\n{text}\n')
        program.chmod(0o755)
        return (str(program),)

    return make


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def look(backups: Backups) -> Seen:
    (source,) = tool_sources(backups)
    return source.look(Deadline.after(WITHIN))


Script = Callable[[str], tuple[str, ...]]


def test_one_source_for_each_that_is_named() -> None:
    named = Backups(pgbackrest=(Pgbackrest("a"), Pgbackrest("b")), barman=(Barman("c"),), walg=(Walg(), Walg("d")))
    assert [(source.source, source.name) for source in tool_sources(named)] == [
        (SourceName.PGBACKREST, "a"),
        (SourceName.PGBACKREST, "b"),
        (SourceName.BARMAN, "c"),
        (SourceName.WALG, ""),
        (SourceName.WALG, "d"),
    ]


# -- pgBackRest ----------------------------------------------------------------------------------------


def test_pgbackrest_is_asked_for_one_stanza(script: Script, tmp_path: Path) -> None:
    command = script(f"cat {FOLDER}/pgbackrest-2.45-healthy.json")
    seen = look(Backups(pgbackrest=(Pgbackrest("main", command, tmp_path / "my conf"),)))
    (call,) = calls(tmp_path)
    assert call.startswith(f"--stanza=main --config={tmp_path}/my conf ")
    assert call.endswith(" --output=json info")
    assert len(seen.backups) == 3
    assert seen.command == f"{command[0]} --stanza=main '--config={tmp_path}/my conf' info"


def test_what_sudoers_is_told_to_allow(script: Script, tmp_path: Path) -> None:
    look(Backups(pgbackrest=(Pgbackrest("orders", script(f"cat {FOLDER}/pgbackrest-2.45-healthy.json")),)))
    allowed = f"/usr/bin/pgbackrest {calls(tmp_path)[0]}\n"
    assert allowed in PAGE.read_text()


def test_pgbackrest_recorded_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "info.json"
    file.write_bytes((FOLDER / "pgbackrest-2.45-healthy.json").read_bytes())
    os.utime(file, (1_700_000_000, 1_700_000_000))
    seen = look(Backups(pgbackrest=(Pgbackrest("main", ("no-such-tool",), recorded=file),)))
    assert seen.as_of_seconds == 1_700_000_000
    assert len(seen.backups) == 3


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"", "printed nothing"), (b"{", "not JSON")])
def test_a_record_that_tells_nothing(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "info.json").write_bytes(content)
    with pytest.raises(CheckError, match=said):
        look(Backups(pgbackrest=(Pgbackrest("main", recorded=tmp_path / "info.json"),)))


def test_pgbackrest_of_today_refuses_root(script: Script) -> None:
    said = "ERROR: [031]: the 'info' command must not be run as the root user"
    with pytest.raises(CheckError, match="must not be run as the root user") as caught:
        look(Backups(pgbackrest=(Pgbackrest("main", script(f'echo "{said}" >&2; exit 31')),)))
    assert caught.value.reason is Reason.PRIVILEGE
    assert caught.value.remedy == "run it as its own user: command: [runuser, -u, postgres, --, pgbackrest]"


@pytest.mark.parametrize("printed", ["hello", "[{]", "[NaN]", "[" * 100_000, "\\377\\377", "[] []"])
def test_garbage_is_no_answer(script: Script, printed: str) -> None:
    file = Path(script("")[0]).with_name("printed")
    file.write_text(printed)
    with pytest.raises(CheckError, match=r"pgbackrest printed .* not JSON") as caught:
        look(Backups(pgbackrest=(Pgbackrest("main", script(f"cat {file}")),)))
    assert caught.value.reason is Reason.BAD_RESULT


# -- Barman --------------------------------------------------------------------------------------------

BARMAN = """
case "$*" in
  *list-backup*) cat {folder}/barman-3.4-healthy-list-backup.json;;
  *show-backup*) cat {folder}/barman-3.4-healthy-show-backup.json;;
  *status*) {status};;
  *check*) {check};;
  *) exit 2;;
esac
"""


def barman(
    script: Script, status: str = f"cat {FOLDER}/barman-3.4-healthy-status.json", check: str = "exit 3"
) -> Backups:
    return Backups(barman=(Barman("main", script(BARMAN.format(folder=FOLDER, status=status, check=check))),))


def test_barman_is_asked_what_prints_no_connection_string(script: Script, tmp_path: Path) -> None:
    check = f"cat {FOLDER}/barman-3.4-healthy-check.json"
    seen = look(barman(script, check=check))
    assert calls(tmp_path) == [
        "-f json list-backup main",
        "-f json show-backup main 20261120T141853",
        "-f json status main",
        "-f json check main",
    ]
    assert len(seen.backups) == 1
    assert seen.troubles == ()
    asked = (call.replace("main", "crm").replace("20261120T141853", "*") for call in calls(tmp_path))
    assert ", ".join(f"/usr/bin/barman {call}" for call in asked) in PAGE.read_text()


def test_a_failed_check_ends_with_1(script: Script) -> None:
    seen = look(barman(script, check=f"cat {FOLDER}/barman-3.4-failed-check.json; exit 1"))
    assert [trouble.text for trouble in seen.troubles] == ["failed backups: there are 1 failed backups"]


def test_what_the_others_told_is_kept(script: Script) -> None:
    seen = look(barman(script, status="echo no such file >&2; exit 1"))
    assert len(seen.backups) == 1
    assert [(trouble.text, trouble.failed) for trouble in seen.troubles] == [
        ("barman status gave no answer: barman ended with 1: no such file", False),
        ("barman check gave no answer: barman ended with 3 and said nothing", False),
    ]
    assert seen.retention == ()


# -- WAL-G ---------------------------------------------------------------------------------------------


def test_walg_is_asked_for_backups_and_log(script: Script, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(json.dumps([FULL]))
    (tmp_path / "log").write_text(json.dumps([LOG]))
    (tmp_path / "walg.env").write_text("AWS_SECRET_ACCESS_KEY=aws-s3cret\n")
    text = f'echo "INFO: found" >&2; env > {tmp_path}/env; case "$*" in *backup-list*) cat {tmp_path}/list;; '
    command = script(text + f"*) cat {tmp_path}/log;; esac")
    seen = look(Backups(walg=(Walg("s3", command, tmp_path / "walg.json", tmp_path / "walg.env"),)))
    assert calls(tmp_path) == [
        f"--config {tmp_path}/walg.json backup-list --detail --json",
        f"--config {tmp_path}/walg.json wal-show --detailed-json --without-backups",
    ]
    assert "AWS_SECRET_ACCESS_KEY=aws-s3cret" in (tmp_path / "env").read_text()
    assert len(seen.backups) == 1
    assert seen.archives is not None
    assert seen.troubles == ()


@pytest.mark.parametrize(
    "text",
    ["exit 0", "echo null", "echo '[]'", "echo 'INFO: 2020/01/01 01:01:01.000001 No backups found' >&2; exit 1"],
)
def test_walg_without_a_backup(script: Script, text: str) -> None:
    seen = look(Backups(walg=(Walg(command=script(text)),)))
    assert seen.backups == ()
    assert seen.repositories[0].problem == "WAL-G sees no backup in its storage"


def test_walg_that_does_not_know_its_log(script: Script, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(json.dumps([FULL]))
    text = f'case "$*" in *backup-list*) cat {tmp_path}/list;; *) echo "Error: unknown command" >&2; exit 1;; esac'
    seen = look(Backups(walg=(Walg(command=script(text)),)))
    assert seen.archives is None
    assert [trouble.text for trouble in seen.troubles] == [
        "wal-g wal-show gave no answer: wal-g ended with 1: Error: unknown command"
    ]


def test_walg_hides_what_its_file_holds(script: Script, tmp_path: Path) -> None:
    (tmp_path / "walg.env").write_text("WALG_LIBSODIUM_KEY=sodium-s3cret\n")
    text = 'echo "ERROR: 2026/01/01 01:01:01.000001 cannot use $WALG_LIBSODIUM_KEY of /etc/x" >&2; exit 1'
    with pytest.raises(CheckError) as caught:
        look(Backups(walg=(Walg(command=script(text), env_file=tmp_path / "walg.env"),)))
    assert str(caught.value) == "wal-g ended with 1: cannot use *** of /etc/x"
