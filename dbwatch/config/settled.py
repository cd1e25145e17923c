"""Owns the settled configuration: what to watch and by which checks. Knows no file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dbwatch.catalogue import Catalogue
from dbwatch.catalogue.collected import Collectors
from dbwatch.config.target import Target


@dataclass(frozen=True, slots=True)
class Config:
    """`collectors` feed the compatibility pages; None where nobody has read them yet."""

    targets: tuple[Target, ...]
    catalogue: Catalogue
    source: str
    check_directories: tuple[Path, ...] = ()
    collectors: Collectors | None = None
