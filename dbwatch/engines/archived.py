"""Owns what a server tells of its archived log to those who look at the backups of its cluster, and the words for it.

Pure: reading the names of log files, and recognising a command that archives nothing. Knows no query and no tool.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WAL_FILE = re.compile(r"[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})(?:\..*)?")
_NOTHING = re.compile(
    r"(?:(?:/usr)?/bin/)?true\b[^;&|>]*|:(?:\s[^;&|>]*)?|exit(?:\s+0)?|return(?:\s+0)?|cd(?:\s+\.)?|"
    r"(?:(?:/usr)?/bin/)?(?:echo|printf)\b[^;&|>]*|(?:/usr)?(?:/bin/)?(?:test|\[)\s[^;&|>]*|rem\b.*|#.*"
)
_SHELL = re.compile(r"(?:(?:/usr)?/bin/)?(?:ba|da|z|k)?sh\s+-c\s+(?P<quote>['\"])(?P<inner>.*)(?P=quote)")
_SWALLOWED = re.compile(r"(?:\|\||;)\s*(?:(?:(?:/usr)?/bin/)?true|:|exit\s+0)\s*$|[^&]&$")
_COMMENT = re.compile(r"\s#[^'\"]*$")
_THROWN_AWAY = re.compile(
    r"(?:/usr)?(?:/bin/)?(?:(?:cp|mv|cat|gzip|zstd|lz4|xz)\b[^;&|]*(?:\s|>\s*)/dev/null|dd\b[^;&|]*\bof=/dev/null)(?:\s+2>\S+)?"
)
_SENT_ON = re.compile(r"[^>]>\s*(?!/dev/null|&)\S|%f")
"""A file of its own is written, or the name is told: then what goes to /dev/null is mere talk."""


@dataclass(frozen=True, slots=True)
class ArchivingTold:
    """How far a server's log is archived, by its own account; positions are bytes, times Unix seconds.

    `archived_end` is None when the server does not say. `timeout_seconds` is 0 when only full files are archived.
    """

    at_seconds: float
    segment_bytes: int
    position: int
    archived_end: int | None
    archived_at_seconds: float | None
    timeout_seconds: float
    void: str | None = None


def segment_end(name: str | None, segment_bytes: int) -> int | None:
    """The position after the last byte of a log file, by its name; None when that is no log file."""
    match = _WAL_FILE.fullmatch(name or "")
    if match is None:
        return None
    return int(match.group(1), 16) * 2**32 + (int(match.group(2), 16) + 1) * segment_bytes


def why_void(command: str) -> str | None:
    """Why this archive_command keeps nothing although it succeeds; None when nothing speaks against it.

    A script of one's own that does nothing looks like any other.
    """
    bare = command.strip()
    while (shell := _SHELL.fullmatch(bare)) is not None:
        bare = shell.group("inner").strip()
    bare = _COMMENT.sub("", bare).strip("; \t")
    while _is_enclosed(bare):
        bare = bare[1:-1].strip("; \t")
    if not bare:
        return None
    if _NOTHING.fullmatch(bare):
        return "archive_command does nothing and reports success"
    if "%p" not in bare and "%f" not in bare:
        return "archive_command names neither %p nor %f, so it cannot know which file to archive"
    if _THROWN_AWAY.fullmatch(bare) and not _SENT_ON.search(bare):
        return "archive_command throws the file away"
    if _SWALLOWED.search(bare):
        return "archive_command reports success even when it fails"
    return None


def _is_enclosed(command: str) -> bool:
    """Whether one pair of brackets holds all of it: `(a)`, and not `(a) && (b)`."""
    if command[:1] + command[-1:] not in ("()", "{}"):
        return False
    opened, closed = command[0], command[-1]
    depth = 0
    for character in command[:-1]:
        depth += (character == opened) - (character == closed)
        if depth == 0:
            return False
    return True
