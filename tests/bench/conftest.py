"""Measurements run when they are asked for (`make bench`), not with the tests: they take long and prove a number."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    asked = any("bench" in argument for argument in config.invocation_params.args if isinstance(argument, str))
    return None if asked or "bench" not in collection_path.parts else True
