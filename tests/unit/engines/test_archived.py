"""Reading the names of log files, and seeing through commands that archive nothing."""

from __future__ import annotations

import pytest

from dbwatch.engines.archived import segment_end, why_void

MIB = 2**20


@pytest.mark.parametrize(
    ("name", "size", "end"),
    [
        ("000000010000000000000001", 16 * MIB, 32 * MIB),
        ("0000000200000001000000FF", 16 * MIB, 2**32 + 256 * 16 * MIB),
        ("000000010000000000000001.partial", 16 * MIB, 32 * MIB),
        ("000000010000000200000000", 1024 * MIB, 2 * 2**32 + 1024 * MIB),
        ("00000002.history", 16 * MIB, None),
        ("", 16 * MIB, None),
        (None, 16 * MIB, None),
    ],
)
def test_a_file_ends_where_the_next_begins(name: str | None, size: int, end: int | None) -> None:
    assert segment_end(name, size) == end


@pytest.mark.parametrize(
    "command",
    [
        *("true", "/bin/true", "/usr/bin/true", " true %p ", ":", ": %p", "exit 0", "(exit 0)", "cd .", "cd"),
        *("echo %f", "/bin/echo archived %p", "test 1", "[ 1 ]", "# cp %p /archive/%f", "rem %p", "sh -c 'exit 0'"),
        *("true;", "{ true; }", "/bin/true # pgbackrest archive-push %p"),
    ],
)
def test_what_does_nothing_keeps_nothing(command: str) -> None:
    assert why_void(command) == "archive_command does nothing and reports success"


@pytest.mark.parametrize(
    "command",
    [
        "cp %p /a/%f || true",
        "cp %p /a/%f; exit 0",
        "cp %p /a/%f ; true ;",
        "(cp %p /a/%f || true)",
        "cp %p /a/%f &",
        "cp %p /a/%f || :",
        'bash -c "cp %p /a/%f || /bin/true"',
    ],
)
def test_what_swallows_its_failures_is_not_believed(command: str) -> None:
    assert why_void(command) == "archive_command reports success even when it fails"


@pytest.mark.parametrize(
    "command", ["cp %p /dev/null", "cat %p > /dev/null", "dd if=%p of=/dev/null", "gzip -c %p >/dev/null 2>&1"]
)
def test_what_goes_into_the_void_is_not_kept(command: str) -> None:
    assert why_void(command) == "archive_command throws the file away"


@pytest.mark.parametrize("command", ["/opt/archive.sh", "cp pg_wal/x /archive/"])
def test_what_is_told_no_file_cannot_archive_it(command: str) -> None:
    assert "names neither %p nor %f" in (why_void(command) or "")


@pytest.mark.parametrize(
    "command",
    [
        "cp %p /archive/%f",
        "test ! -f /archive/%f && cp %p /archive/%f",
        "[ ! -f /archive/%f ] && cp %p /archive/%f",
        "echo %f >> /log && cp %p /archive/%f",
        "gzip < %p > /archive/%f.gz",
        "pgbackrest --stanza=main archive-push %p",
        "pgbackrest --stanza=main archive-push %p > /dev/null",
        "wal-g wal-push %p > /dev/null 2>&1",
        "wal-g wal-push %p && (curl -fs https://alive.example || true)",
        "cp %p /archive/%f > /dev/null",
        "cp %p /archive/%f  # || true",
        "barman-wal-archive backup main %p",
        "envdir /etc/wal-g wal-g wal-push %p",
        "/opt/truearchive %p",
        "rsync -a %p backup:/archive/%f || exit 1",
        "",
    ],
)
def test_nothing_speaks_against_these(command: str) -> None:
    assert why_void(command) is None
