"""Measurements run when they are asked for (`make bench`), not with the tests: they take long and prove a number."""

from __future__ import annotations

import compileall
from pathlib import Path

import pytest

import dbwatch


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    asked = any("bench" in argument for argument in config.invocation_params.args if isinstance(argument, str))
    return None if asked or "bench" not in collection_path.parts else True


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """As an installation is: compiling 400 modules at every start is not what users have."""
    compileall.compile_dir(str(Path(dbwatch.__file__).parent), quiet=1)
