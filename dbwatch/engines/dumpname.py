"""Owns reading a dump file's name: of what it is a dump, and whether the name holds a date. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SUFFIX = re.compile(
    r"(?<=.)\.(?:sql|dump|dmp|pgdump|pg_dump|custom|backup|bak|tar|tgz|gz|xz|bz2|zst|zstd|lz4|gpg|age|enc|rdb|"
    r"part|partial|tmp|temp|incomplete|in-progress|filepart|swp|bin|out|txt)$",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
    r"(?:[-_.T ]*(?:at[-_.]?)?(?:[01]\d|2[0-3])[-_.:h]?[0-5]\d(?:[-_.:m]?[0-5]\d)?s?)?"
    r"(?:[-_.]?\d{3,9})?(?:Z|[+-]\d\d:?\d\d|[-_.]?UTC)?(?!\d)"
)
_EPOCH = re.compile(r"(?<!\d)1[5-9]\d{8}(?:\d{3})?(?!\d)")
_DAY = re.compile(
    r"(?:^|[-_.])(?:mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?:^|\.)\d{1,4}$")
"""As logrotate numbers them. Not `tenant_2`, which is another database."""
_EDGES = "-_.~ "


@dataclass(frozen=True, slots=True)
class DumpName:
    """`name` is what stands beside the date: the database, as a rule. `dated` files of one name are a series."""

    name: str
    dated: bool


def read_name(file_name: str) -> DumpName:
    """`orders_2026-11-20_0300.dump.gz` is a dated dump of `orders`; of a bare date the name is empty."""
    stem = _bare(file_name)
    for pattern in (_DATE, _EPOCH, _DAY, _NUMBER):
        found = pattern.search(stem)
        if found is not None:
            # Before the date stands the database, after it at most the type; a date in front is followed by the name.
            before, after = stem[: found.start()].strip(_EDGES), stem[found.end() :].strip(_EDGES)
            return DumpName(_bare(before or after), dated=True)
    return DumpName(stem.strip(_EDGES), dated=False)


def _bare(name: str) -> str:
    while (shorter := _SUFFIX.sub("", name)) != name:
        name = shorter
    return name
