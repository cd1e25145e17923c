"""Owns what the probes of one target remember between two runs. Knows no probe and no server.

A memory lives as long as the target's lane: it survives a lost session, and a reload that changes the target starts
it anew. In a one-shot run it is empty, so a probe must be able to say "not known yet".
"""

from __future__ import annotations

from typing import TypeVar

Kind = TypeVar("Kind")


class Memory:
    """One object of each kind a probe asks for. Used by the lane's thread only; bounding it is the probe's duty."""

    def __init__(self) -> None:
        self._kept: dict[type[object], object] = {}

    def of(self, kind: type[Kind]) -> Kind:
        """The one object of this kind, made by `kind()` when it is asked for first."""
        kept = self._kept.get(kind)
        if isinstance(kept, kind):
            return kept
        made = kind()
        self._kept[kind] = made
        return made
