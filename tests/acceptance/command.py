"""The product as its user runs it: one process of dbwatch, with nothing of ours in its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.nursery import Nursery

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "dbwatch")
_nursery = Nursery()


@dataclass(frozen=True, slots=True)
class Answer:
    """How a run ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Its standard output as one JSON object."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def target(self) -> dict[str, Any]:
        """The only target of its JSON document."""
        (target,) = self.document["targets"]
        assert isinstance(target, dict)
        return target

    @property
    def checks(self) -> dict[str, dict[str, Any]]:
        """The checks of the only target, by name."""
        return {check["check"]: check for check in self.target["checks"]}

    @property
    def everything(self) -> str:
        return self.out + self.err


def clean_environment(**extra: str) -> dict[str, str]:
    """Ours without any name that dbwatch, libpq or a terminal library reads."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DBWATCH_", "PG", "DATABASE_URL", "REDIS_URL"))
        and name not in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "PY_COLORS")
    }
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **extra}


def dbwatch(*args: object, env: Mapping[str, str] | None = None, timeout: float = 90.0) -> Answer:
    """Run `dbwatch ARGS` to its end, in a folder that is not the checkout."""
    try:
        return Answer(*_nursery.run([*map(str, args)], clean_environment(**(env or {})), timeout))
    except TimeoutError as error:
        raise AssertionError(f"dbwatch {args} did not end in {timeout:g} s:\n{error}") from None


def start(*args: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `python -m dbwatch ARGS` with pipes for its output; the caller waits for it."""
    return subprocess.Popen(
        [*PROGRAM, *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(**(env or {})),
        cwd=tempfile.gettempdir(),
    )
