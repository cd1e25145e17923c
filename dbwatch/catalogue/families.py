"""Owns the words of the compatibility pages: exporter, family, collector. Knows no file and no page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dbwatch.model import Engine

TARGET_LABEL: Final = "target"
SERVER_LABEL: Final = "server"
PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PART_OF_NAME: Final = re.compile(r"[A-Za-z0-9_:]+\Z")


class Exporter(StrEnum):
    """The exporters whose pages we give; the value is the folder under `checks/compat/` and the path of the page."""

    POSTGRES = "postgres_exporter"
    REDIS = "redis_exporter"

    @property
    def engine(self) -> Engine:
        return {"postgres_exporter": Engine.POSTGRES, "redis_exporter": Engine.REDIS}[self.value]

    @property
    def prefix(self) -> str:
        """How the names of its families begin."""
        return {"postgres_exporter": "pg_", "redis_exporter": "redis_"}[self.value]


class Kind(StrEnum):
    """The type of a family, as its TYPE line says it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    UNTYPED = "untyped"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class Family:
    """What one column is called. `labels` are the row's labels that its samples carry.

    A histogram or summary is of several columns; `sample` is what follows the name in the samples of this one.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    sample: str = ""

    @property
    def placeholders(self) -> tuple[str, ...]:
        return tuple(PLACEHOLDER.findall(self.name))

    def named(self, labels: Mapping[str, str]) -> tuple[str, str] | None:
        """Name and help for a row; None when a label that would be part of the name cannot be."""
        if not self.placeholders:
            return self.name, self.help
        if not all(_PART_OF_NAME.match(labels.get(name, "")) for name in self.placeholders):
            return None
        return _filled(self.name, labels), _filled(self.help, labels)

    def supplies(self, name: str) -> bool:
        """True when a family of that name may come of this column."""
        pieces = PLACEHOLDER.split(self.name)[::2]
        return re.fullmatch("[A-Za-z0-9_:]+".join(map(re.escape, pieces)), name) is not None


@dataclass(frozen=True, slots=True)
class Collector:
    """Which page a check feeds, and the families of its columns. `server` adds the server's address as a label."""

    exporter: Exporter
    name: str
    server: bool
    families: Mapping[str, Family]


def _filled(text: str, labels: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: labels.get(match.group(1), ""), text)
