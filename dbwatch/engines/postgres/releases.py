"""Owns what is known of PostgreSQL's releases without a network: a dated table beside this file. Knows no server.

A server newer than the table is never outdated, and nothing is said of a major the table does not have.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from dbwatch.strictyaml import read_file

_TABLE = Path(__file__).with_name("releases.yaml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Major(_Strict):
    """A major version: its first release, and the day of its last one."""

    released: datetime.date
    supported_until: datetime.date


class Release(_Strict):
    """What came out on one day, for several majors at once."""

    date: datetime.date
    versions: tuple[str, ...]
    security: bool = False
    corruption: str | None = None

    def minor_of(self, major: int) -> int | None:
        """The minor of this major that came out then."""
        for version in self.versions:
            first, _, second = version.partition(".")
            if int(first) == major:
                return int(second)
        return None


class Releases(_Strict):
    """The table. `as_of` is the day somebody last looked for new releases."""

    as_of: datetime.date
    majors: dict[int, Major]
    releases: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """The newer minor releases of a server's major: the newest first."""

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


def missed_by(table: Releases, version: tuple[int, ...]) -> Missed:
    """What came out after this version, of the same major."""
    major, minor = version[0], version[1] if len(version) > 1 else 0
    newer = [release for release in table.releases if (release.minor_of(major) or 0) > minor]
    newer.sort(key=lambda release: release.date, reverse=True)
    return Missed(f"{major}.{newer[0].minor_of(major)}" if newer else None, tuple(newer))


@cache
def known_releases() -> Releases:
    """The table that ships with dbwatch."""
    return Releases.model_validate(read_file(_TABLE).data)
