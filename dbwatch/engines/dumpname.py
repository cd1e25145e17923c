"""Owns reading a dump file's name: of what it is a dump, and whether the name holds a date. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

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
_ANYTHING = re.compile(
    r"(?:(?:pg|postgres(?:ql)?|my|mysql|sql|db|database|auto|full|daily|nightly)?[-_.]?(?:dump|backup|bak|bkp)s?|db|pg|postgres(?:ql)?)",
    re.IGNORECASE,
)
"""What stands before a date and names no database."""
_OCCASION = re.compile(
    r"(?:daily|weekly|monthly|yearly|hourly|nightly|week|month|full|incr|diff|auto|manual|scheduled|[\d.:hms_-]+|"
    r"(?:mon|tue|wed|thu|fri|sat|sun)\w*|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*)(?:[-_.]?\d+)?",
    re.IGNORECASE,
)
"""What stands after a date and names no database either."""


@dataclass(frozen=True, slots=True)
class DumpName:
    """`name` is what stands beside the date: the database, as a rule. `dated` files of one name are a series.

    `after` stands behind the date where something stands before it, too: in `backup_2026-11-20_orders` the database.
    """

    name: str
    dated: bool
    after: str = field(default="", compare=False)


def read_names(file_names: Sequence[str], databases: Collection[str] = ()) -> list[DumpName]:
    """What each file is a dump of, seen together: behind a date stands a name if it recurs, or is expected."""
    names = [read_name(file) for file in file_names]
    recurring = Counter((name.name, name.after) for name in names)
    return [
        DumpName(one.after, dated=True)
        if one.after in databases
        or (recurring[one.name, one.after] > 1 and _is_name(one.after) and _ANYTHING.fullmatch(one.name))
        else one
        for one in names
    ]


def _is_name(after: str) -> bool:
    return bool(after) and _OCCASION.fullmatch(after) is None


def read_name(file_name: str) -> DumpName:
    """`orders_2026-11-20_0300.dump.gz` is a dated dump of `orders`; of a bare date the name is empty."""
    stem = _bare(file_name)
    for pattern in (_DATE, _EPOCH, _DAY, _NUMBER):
        found = pattern.search(stem)
        if found is not None:
            # Before the date stands the database, after it at most the type; a date in front is followed by the name.
            before, after = stem[: found.start()].strip(_EDGES), stem[found.end() :].strip(_EDGES)
            return DumpName(_bare(before or after), dated=True, after=_bare(after) if before else "")
    return DumpName(stem.strip(_EDGES), dated=False)


def _bare(name: str) -> str:
    while (shorter := _SUFFIX.sub("", name)) != name:
        name = shorter
    return name
