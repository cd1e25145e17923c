"""A watchdog that ends with the test, and the certificates of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbwatch.runner.watchdog import Watchdog
from tests.redis.authority import Authority, make_authority


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    dog = Watchdog()
    yield dog
    dog.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))
