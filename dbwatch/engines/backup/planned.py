"""Owns what is expected of a source. Knows neither how it is asked nor how the answer is judged."""

from __future__ import annotations

from dataclasses import dataclass

from dbwatch.config.backups import Schedule
from dbwatch.engines.backup.record import Source


@dataclass(frozen=True, slots=True)
class Planned:
    """A source and what is expected of it; `names` are the backups there have to be in it."""

    source: Source
    schedule: Schedule
    names: tuple[str, ...] = ()
    pattern: str = "*"

    @property
    def text(self) -> str:
        return f"{self.source.source} {self.source.name}".strip()
