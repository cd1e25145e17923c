"""Owns what is known of the servers' releases without a network: a dated table beside this file. Knows no server.

A server newer than the table is never outdated, and nothing is said of a series the table does not have.
`python -m dbwatch.engines.releases` tells how old the table is, `dbwatch.engines.releases_refresh` renews it.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, cast

if TYPE_CHECKING:
    from dbwatch.strictyaml import Document

TABLE = Path(__file__).with_name("releases.yaml")
OLD_TABLE = datetime.timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Series:
    """What gets fixes together: a major of PostgreSQL, a minor of the others.

    `supported_until` is the day of its last release, where the project has set one. A series that the project just
    stopped to fix has `left_out` instead: the first release of security fixes it was not part of.
    """

    released: datetime.date | None = None
    supported_until: datetime.date | None = None
    left_out: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """What came out on one day, or was first seen then, for several series at once."""

    date: datetime.date
    versions: tuple[str, ...]
    security: bool = False
    corruption: str | None = None

    def patch_of(self, series: str) -> int | None:
        """The patch of this series that came out then."""
        for version in self.versions:
            first, _, last = version.rpartition(".")
            if first == series:
                return int(last)
        return None


@dataclass(frozen=True, slots=True)
class Product:
    """One kind of server. `as_of` is the day up to which its releases are known.

    `repackaged` are versions that a distribution keeps for years and mends under the same number: whether such a
    server misses a fix cannot be told from its version. One kept `by_hand` is not in the feed that renews the others.
    """

    name: str
    as_of: datetime.date
    series: Mapping[str, Series]
    releases: tuple[Release, ...]
    repackaged: Mapping[str, str] = field(default_factory=dict)
    by_hand: bool = False

    def series_of(self, version: tuple[int, ...]) -> str | None:
        """The series a version belongs to, when the table has it."""
        for length in (2, 1):
            name = ".".join(str(part) for part in version[:length])
            if len(version) >= length and name in self.series:
                return name
        return None

    @property
    def newest(self) -> str:
        return max(self.series, key=_numbers)


@dataclass(frozen=True, slots=True)
class Releases:
    """The table."""

    products: Mapping[str, Product]


class _Release(TypedDict):
    date: str
    versions: list[str]
    security: NotRequired[bool]
    corruption: NotRequired[str]


class _Product(TypedDict):
    name: str
    as_of: str
    series: dict[str, dict[Literal["released", "supported_until", "left_out"], str]]
    releases: list[_Release]
    repackaged: NotRequired[dict[str, str]]
    by_hand: NotRequired[bool]


@dataclass(frozen=True, slots=True)
class Missed:
    """The newer patches of a server's series: the newest first."""

    newest: str | None
    releases: Sequence[Release]

    @property
    def since(self) -> datetime.date | None:
        """The day the first of them came out."""
        return min((release.date for release in self.releases), default=None)

    @property
    def security_since(self) -> datetime.date | None:
        """The day the first of them that fixes a vulnerability came out."""
        return min((release.date for release in self.releases if release.security), default=None)

    @property
    def corruptions(self) -> tuple[str, ...]:
        return tuple(
            f"{release.corruption} ({release.date})" for release in self.releases if release.corruption is not None
        )


def missed_by(product: Product, version: tuple[int, ...]) -> Missed:
    """What came out after this version, of the same series."""
    series = product.series_of(version)
    if series is None:
        return Missed(None, ())
    length = len(_numbers(series))
    patch = version[length] if len(version) > length else 0
    found = [(release.patch_of(series) or 0, release) for release in product.releases]
    newer = sorted((item for item in found if item[0] > patch), key=lambda item: item[0], reverse=True)
    return Missed(f"{series}.{newer[0][0]}" if newer else None, tuple(release for _, release in newer))


def known_releases(product: str) -> Product:
    """What ships with dbwatch about a product: postgresql, redis, valkey, mariadb, mysql or pgbouncer."""
    return read_table(TABLE).products[product]


@cache
def read_table(path: Path) -> Releases:
    from dbwatch.strictyaml import read_file

    return releases_of(read_file(path))


def releases_of(document: Document) -> Releases:
    """Raises KeyError for what is missing, ValueError for a day that is none."""
    table = cast("Mapping[Literal['products'], Mapping[str, _Product]]", document.data)
    return Releases({name: _product(given) for name, given in table["products"].items()})


def _product(given: _Product) -> Product:
    return Product(
        name=given["name"],
        as_of=_day(given["as_of"]),
        series={name: _series(days) for name, days in given["series"].items()},
        releases=tuple(_release(release) for release in given["releases"]),
        repackaged=given.get("repackaged", {}),
        by_hand=given.get("by_hand", False),
    )


def _series(given: Mapping[Literal["released", "supported_until", "left_out"], str]) -> Series:
    return Series(**{what: _day(day) for what, day in given.items()})


def _release(given: _Release) -> Release:
    return Release(
        date=_day(given["date"]),
        versions=tuple(given["versions"]),
        security=given.get("security", False),
        corruption=given.get("corruption"),
    )


_day = datetime.date.fromisoformat


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _told(product: Product, today: datetime.date) -> str:
    age = (today - product.as_of).days
    newest = ", ".join(f"{name}.{patch}" for name, patch in _newest_patches(product))
    return f"{product.name:<11} known up to {product.as_of}, {age} days ago: {newest}"


def _newest_patches(product: Product) -> list[tuple[str, int]]:
    """The series that are not known to have ended, each with its newest patch, the newest series first."""
    found: list[tuple[str, int]] = []
    for name, series in sorted(product.series.items(), key=lambda item: _numbers(item[0]), reverse=True):
        ended = series.left_out is not None or (series.supported_until or datetime.date.max) < product.as_of
        patches = [patch for release in product.releases if (patch := release.patch_of(name)) is not None]
        if not ended and patches:
            found.append((name, max(patches)))
    return found


def main() -> int:
    """Tell what the table knows; 1 when a part of it is older than half a year."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    products = read_table(TABLE).products.values()
    sys.stdout.write("".join(_told(product, today) + "\n" for product in products))
    return int(any(today - product.as_of > OLD_TABLE for product in products))


if __name__ == "__main__":
    sys.exit(main())
