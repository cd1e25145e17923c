"""Owns where the numbers of a bench run go: build/bench/<file>.json. docs/performance.md is written from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

NOTES = Path(__file__).parents[2] / "build" / "bench"


def write(file: str, name: str, numbers: Mapping[str, object]) -> None:
    """Note the numbers under a name, beside what was noted there before."""
    path = NOTES / f"{file}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = numbers
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n")


def read(file: str) -> Mapping[str, Mapping[str, object]]:
    """What was noted last; nothing where nobody measured yet."""
    path = NOTES / f"{file}.json"
    found: Mapping[str, Mapping[str, object]] = json.loads(path.read_text()) if path.exists() else {}
    return found
