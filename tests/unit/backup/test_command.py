"""Running a program within limits. The programs are shell scripts; that no shell sees our arguments is a test."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from dbwatch.deadline import Deadline
from dbwatch.engines.backup.tools import command
from dbwatch.engines.backup.tools.command import Ended, run
from dbwatch.engines.backup.tools.complaint import complaint_of
from dbwatch.errors import CheckError
from dbwatch.model import Reason
from dbwatch.secret import Secret
from tests.harness.proctree import alive
from tests.harness.waiting import eventually

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
SOON = 30.0


def shell(
    script: str, *arguments: str, deadline: Deadline | None = None, most_bytes: int = command.MOST_BYTES
) -> Ended:
    argv = ("sh", "-c", script, "sh", *arguments)
    return run(argv, deadline or Deadline.after(SOON), ENVIRONMENT, most_bytes=most_bytes)


@dataclass(frozen=True, slots=True)
class Once(Deadline):
    """Strikes once a file has so many lines: a slow machine may take its time until then."""

    file: Path
    lines: int

    @classmethod
    def written(cls, file: Path, lines: int = 1) -> Once:
        return cls(Deadline.after(SOON).at, file, lines)

    @property
    def remaining(self) -> float:
        written = self.file.exists() and self.file.read_text().count("\n") >= self.lines
        return 0.0 if written else max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.remaining == 0.0


def test_its_output_and_its_exit_code() -> None:
    assert shell("printf 'one\\n'; echo careful >&2; exit 3") == Ended(3, b"one\n", "careful")


def test_arguments_are_taken_literally() -> None:
    hostile = ("$(id)", "; touch /tmp/no", "`id`", "a b", "*", "--", "'\"", "")
    assert shell("for a; do printf '%s\\0' \"$a\"; done", *hostile).output.split(b"\0")[:-1] == [
        argument.encode() for argument in hostile
    ]


def test_it_sees_no_environment_but_the_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2-s3cret")
    said = shell("env").output.decode()
    assert {line.partition("=")[0] for line in said.splitlines()} <= {"PATH", "PWD", "SHLVL", "_", "OLDPWD"}


def test_it_is_asked_nothing() -> None:
    assert shell('read line; echo "<$line>"').output == b"<>\n"


def test_much_output_on_both_sides() -> None:
    ended = shell("head -c 3000000 /dev/zero | tr '\\0' a; head -c 3000000 /dev/zero | tr '\\0' b >&2")
    assert len(ended.output) == 3_000_000
    assert ended.complaint.startswith("bbbb")
    assert len(ended.complaint) <= 300


def test_too_much_output_ends_it() -> None:
    with pytest.raises(CheckError, match="sh printed more than 1 MiB and was ended") as caught:
        shell("yes", most_bytes=1024**2)
    assert caught.value.reason is Reason.BAD_RESULT


def test_a_late_program_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sh -c 'echo $$ >> {pids}; exec sleep 600' & echo $$ >> {pids}; wait"
    with pytest.raises(CheckError, match="sh did not answer in time and was ended") as caught:
        shell(script, deadline=Once.written(pids, 2))
    assert caught.value.reason is Reason.TIMEOUT
    for pid in map(int, pids.read_text().split()):
        eventually(lambda pid=pid: not alive(pid), what=f"process {pid} is gone")  # type: ignore[misc]  # a default


def test_one_that_ignores_the_request_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_GRACE_SECONDS", 0.05)
    pid = tmp_path / "pid"
    with pytest.raises(CheckError, match="was ended"):
        shell(f"trap '' TERM; echo $$ > {pid}; while :; do sleep 1; done", deadline=Once.written(pid))
    eventually(lambda: not alive(int(pid.read_text())))


def test_a_child_that_lives_on_does_not_hold_the_answer(tmp_path: Path) -> None:
    """It keeps the output open for ten minutes; the program itself has answered."""
    pid = tmp_path / "pid"
    begun = time.monotonic()
    ended = shell(f"sleep 600 & echo $! > {pid}; echo done")
    assert ended == Ended(0, b"done\n", "")
    assert time.monotonic() - begun < SOON
    eventually(lambda: not alive(int(pid.read_text())), what="what it left behind is ended too")


def test_one_that_cannot_be_ended_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `sudo`: its process is another user's."""
    monkeypatch.setattr(command, "_GRACE_SECONDS", 0.05)

    def forbidden(_group: int, _how: int) -> None:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(os, "killpg", forbidden)
        with pytest.raises(CheckError, match="could not be ended, it runs as another user"):
            shell("exec sleep 600", deadline=Deadline.after(0.1))
        with pytest.raises(CheckError, match=r"sh of an earlier look still runs \(process \d+\)") as caught:
            shell("exec sleep 600", deadline=Deadline.after(0.1))
    assert caught.value.reason is Reason.RESOURCES
    (process,) = command._left_behind.values()
    process.kill()
    process.wait()
    with pytest.raises(CheckError, match="did not answer in time and was ended"):
        shell("exec sleep 600", deadline=Deadline.after(0.1))
    assert not command._left_behind


def test_no_such_program() -> None:
    with pytest.raises(CheckError, match="there is no program no-such-tool that this user may run") as caught:
        run(("no-such-tool",), Deadline.after(SOON), ENVIRONMENT)
    assert caught.value.reason is Reason.ERROR
    assert "command" in str(caught.value.remedy)


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"\x00\x01")
    tool.chmod(0o755)
    with pytest.raises(CheckError, match="tool could not be started: Exec format error"):
        run((str(tool),), Deadline.after(SOON), ENVIRONMENT)


def test_it_leaves_no_descriptor_open() -> None:
    shell("true")
    before = descriptors()
    for _ in range(3):
        shell("echo said; echo complained >&2")
    with pytest.raises(CheckError):
        shell("exec sleep 600", deadline=Deadline.after(0.1))
    assert descriptors() == before


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("", ""),
        ("\n\n  first  \nsecond\n", "first"),
        ("INFO: 2026/01/02 03:04:05.123456 List backups\nERROR: 2026/01/02 03:04:05.123 no bucket", "no bucket"),
        ("P00   WARN: old option\nERROR: [055]: unable to open", "ERROR: [055]: unable to open"),
        ("2026-11-20 14:31:18.439 P00  ERROR: [031]: twice", "ERROR: [031]: twice"),
        ("tab\tbell\x07esc\x1b[31m", "tab bell esc [31m"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_the_line_that_matters(said: str, line: str) -> None:
    assert complaint_of(said.encode()) == line


SECRET = "tr0ub4dor-s3cret"


@pytest.mark.parametrize(
    "said",
    [
        f"cipher-pass={SECRET}",
        f"key/value found outside of section at line 7: {SECRET}",
        f"invalid JSON value at line 6 'cipher-pass=\"{SECRET}\"': expected",
        f"option 'repo1-s3-key-secret={SECRET}' is not valid",
        f"repo1-cipher-pass: '{SECRET}'",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"env WALG_LIBSODIUM_KEY={SECRET} wal-g",
        f"export WALG_LIBSODIUM_KEY_secret = {SECRET}",
        f'{{"access_key": "{SECRET}"}}',
        f"connection to postgresql://barman:{SECRET}@db.internal/postgres failed",
        f"could not connect: host=db user=barman password={SECRET} dbname=postgres",
        f"password='{SECRET} with blanks' host=db",
        f"GET https://account.blob.core.windows.net/x?sv=1&sig={SECRET}",
        f"-----BEGIN PRIVATE KEY-----{SECRET}",
        f"the token: {SECRET} has expired",
    ],
)
def test_no_secret_gets_into_it(said: str) -> None:
    assert SECRET not in complaint_of(f"ERROR: {said}".encode())


def test_no_secret_that_is_known_gets_into_it() -> None:
    said = f"ERROR: bucket {SECRET} is not there".encode()
    assert complaint_of(said, [Secret(SECRET)]) == "ERROR: bucket *** is not there"
