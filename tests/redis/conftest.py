"""A watchdog that ends with the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbwatch.runner.watchdog import Watchdog


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    dog = Watchdog()
    yield dog
    dog.close()
