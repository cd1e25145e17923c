"""Owns the arithmetic of write-ahead log file names: 8 hexadecimal digits of timeline, 16 of position. Pure."""

from __future__ import annotations

_USUAL_BYTES = 16 * 1024**2
_SIZES = tuple(1024**2 << power for power in range(11))


def same_timeline(one: str, other: str) -> bool:
    return one[:8] == other[:8]


def lies_before(one: str | None, other: str | None) -> bool:
    """Whether `one` is older than `other` on the same timeline. False where either is not known."""
    return one is not None and other is not None and same_timeline(one, other) and one < other


def name_at(position: int, timeline: str, segment_bytes: int) -> str:
    """The name of the file that holds the byte at `position`."""
    number = position // segment_bytes
    files_a_log = 0x1_0000_0000 // segment_bytes
    return f"{timeline}{number // files_a_log:08X}{number % files_a_log:08X}"


def name_after(first: str, start: int, finish: int) -> str | None:
    """The file that holds the last byte before `finish`, given the file that holds `start`; None when they disagree.

    The size of the files is not told, so it is the one that gives `start` its name: the usual one where several do.
    """
    fitting = [size for size in _SIZES if name_at(start, first[:8], size) == first]
    if not fitting or finish <= 0:
        return None
    size = _USUAL_BYTES if _USUAL_BYTES in fitting else fitting[0]
    return name_at(finish - 1, first[:8], size)
