"""Owns which few of many have series of their own, so that a series does not come and go with the noise. Pure.

Who is in the first `keep` places gets in; who stays beyond twice that for `patience` looks gets out.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Sticky(Generic[Key]):
    """The named ones, of at most `most`; mapped to the looks they have been out of reach."""

    def __init__(self, keep: int, *, patience: int = 5, most: int | None = None) -> None:
        self.keep = keep
        self.patience = patience
        self.most = most if most is not None else 4 * keep
        self.members: dict[Key, int] = {}

    def choose(self, place: Mapping[Key, int], present: Iterable[Key] = ()) -> None:
        """A new look. Members that are `present` but did nothing come after those that did something."""
        known = set(present)
        idle = [key for key in self.members if key not in place and key in known]
        standing = {**place, **{key: len(place) + number for number, key in enumerate(idle, start=1)}}
        members: dict[Key, int] = {}
        for key, missed in self.members.items():
            missed = 0 if standing.get(key, 2 * self.keep + 1) <= 2 * self.keep else missed + 1
            if missed < self.patience:
                members[key] = missed
        for key, at in place.items():
            if at <= self.keep:
                members[key] = 0
        if len(members) > self.most:
            best = sorted(members, key=lambda key: standing.get(key, len(standing) + 1))
            members = {key: members[key] for key in best[: self.most]}
        self.members = members
