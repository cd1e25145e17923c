"""What a missing server means: the test skips, or fails where DBWATCH_REQUIRE says the server must be there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from tests.harness.binaries import MissingError


def required(what: str) -> bool:
    """DBWATCH_REQUIRE is `all`, or a comma list such as `postgres,redis,promtool`."""
    names = {name.strip() for name in os.environ.get("DBWATCH_REQUIRE", "").split(",")}
    return "all" in names or what in names


def unavailable(missing: MissingError) -> NoReturn:
    """End the running test for want of a program: fail it when required, else skip it."""
    if required(missing.what):
        pytest.fail(f"required by DBWATCH_REQUIRE, and missing: {missing}", pytrace=False)
    pytest.skip(str(missing))
