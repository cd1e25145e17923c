"""Owns bringing the table of releases up to date: asks endoflife.date, adds what is new, changes nothing else.

For whoever makes dbwatch, in a checkout and with a network; nothing that runs beside a database imports this:

    python -m dbwatch.engines.releases_refresh [--from FOLDER]

It adds new series and the newest release of each, sets `as_of` to today, and prints what it did. Whether a release
fixes a vulnerability is not in the feed: read its notes and add `security: true`, then run the tests and commit.
`--from` reads FOLDER/<product>.json, as https://endoflife.date/api/<product>.json was saved, in place of the network.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from dbwatch.engines.releases import TABLE, Product, read_table, releases_of
from dbwatch.strictyaml import read

_FEED = "https://endoflife.date/api/{product}.json"
_SECONDS = 20.0
_OLDEST_ADDED = datetime.date(2020, 1, 1)
_VERSION = re.compile(r"\d+(\.\d+){1,2}")

Feed: TypeAlias = Callable[[str], bytes]


class Cycle(BaseModel):
    """What endoflife.date says of one series. `eol` is a day, or only whether it is over."""

    model_config = ConfigDict(extra="ignore")

    cycle: str
    release_date: datetime.date = Field(alias="releaseDate")
    eol: datetime.date | bool
    latest: str
    latest_release_date: datetime.date | None = Field(default=None, alias="latestReleaseDate")


_CYCLES: TypeAdapter[list[Cycle]] = TypeAdapter(list[Cycle])


def refreshed(text: str, feed: Feed, today: datetime.date) -> tuple[str, Sequence[str]]:
    """The table with what is new in it, and a line for each addition. The text it had stays as it is."""
    told: list[str] = []
    for name, product in releases_of(read(text, "the table")).products.items():
        if product.by_hand:
            continue
        cycles = [cycle for cycle in _CYCLES.validate_json(feed(name)) if cycle.release_date >= _OLDEST_ADDED]
        series, releases = _new_series(product, cycles), _new_releases(product, cycles)
        block = _block(text, name)
        changed = re.sub(r'(?m)^    as_of: ".*"$', f'    as_of: "{today}"', block, count=1)
        changed = _inserted(changed, "series", series)
        changed = _inserted(changed, "releases", releases)
        text = text.replace(block, changed, 1)
        told += [f"{product.name}: {line.strip()}" for line in (*series, *releases)]
        told += _new_days(product, cycles)
    releases_of(read(text, "the new table"))
    return text, told


def _new_series(product: Product, cycles: Sequence[Cycle]) -> list[str]:
    lines: list[str] = []
    for cycle in cycles:
        if cycle.cycle in product.series:
            continue
        until = f', supported_until: "{cycle.eol}"' if isinstance(cycle.eol, datetime.date) else ""
        lines.append(f'      "{cycle.cycle}": {{released: "{cycle.release_date}"{until}}}\n')
    return lines


def _new_days(product: Product, cycles: Sequence[Cycle]) -> list[str]:
    """Last days that the feed has and the table has not, or has differently: for a person to look up and write."""
    return [
        f"{product.name} {cycle.cycle}: its last day is {cycle.eol} there and {here} here, which is not changed"
        for cycle in cycles
        if (known := product.series.get(cycle.cycle)) is not None
        and known.left_out is None
        and isinstance(cycle.eol, datetime.date)
        and cycle.eol != (here := known.supported_until)
    ]


def _new_releases(product: Product, cycles: Sequence[Cycle]) -> list[str]:
    """Those the table does not have, by day; a feed that lags behind the table adds nothing."""
    days: dict[datetime.date, list[str]] = {}
    for cycle in cycles:
        if not _VERSION.fullmatch(cycle.latest) or cycle.latest.rpartition(".")[0] != cycle.cycle:
            continue
        known = [patch for release in product.releases if (patch := release.patch_of(cycle.cycle)) is not None]
        if int(cycle.latest.rpartition(".")[2]) > max(known, default=-1):
            days.setdefault(cycle.latest_release_date or cycle.release_date, []).append(cycle.latest)
    return [
        '      - {{date: "{}", versions: [{}]}}\n'.format(day, ", ".join(f'"{version}"' for version in days[day]))
        for day in sorted(days, reverse=True)
    ]


def _block(text: str, product: str) -> str:
    """The lines of one product."""
    match = re.search(rf"(?m)^  {re.escape(product)}:\n(?:    .*\n)+", text)
    if match is None:
        raise ValueError(f"the table has no lines for {product}")
    return match[0]


def _inserted(block: str, key: str, lines: Sequence[str]) -> str:
    """New series come last. Releases come first, each before the first that is not newer."""
    if not lines:
        return block
    head, mark, rest = block.partition(f"    {key}:\n")
    entries = re.match(r"(?:      .*\n)*", rest)
    end = entries.end() if entries is not None else 0
    if key == "series":
        return head + mark + rest[:end] + "".join(lines) + rest[end:]
    found = re.findall(r"      - (?:.*\n)(?:        .*\n)*", rest[:end])
    ordered = sorted([*lines, *found], key=_day, reverse=True)
    return head + mark + "".join(ordered) + rest[end:]


def _day(entry: str) -> str:
    match = re.search(r'date: "([-0-9]+)"', entry)
    return match[1] if match is not None else ""


def _from_network(product: str) -> bytes:
    with urllib.request.urlopen(_FEED.format(product=product), timeout=_SECONDS) as answer:  # noqa: S310 - a fixed https address
        return bytes(answer.read())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dbwatch.engines.releases_refresh", description=__doc__)
    parser.add_argument("--from", dest="folder", type=Path, metavar="FOLDER", help="read FOLDER/<product>.json")
    folder: Path | None = parser.parse_args(arguments).folder
    feed: Feed = _from_network if folder is None else lambda product: (folder / f"{product}.json").read_bytes()
    text, told = refreshed(TABLE.read_text(encoding="utf-8"), feed, datetime.datetime.now(tz=datetime.UTC).date())
    TABLE.write_text(text, encoding="utf-8")
    read_table.cache_clear()
    sys.stdout.write("".join(f"{line}\n" for line in told) or "nothing new\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
