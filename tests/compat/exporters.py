"""A real exporter beside a real server: started, scraped, ended."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGTERM
from typing import Self

import httpx

from tests.compat.scraped import Scraped, read_page
from tests.harness import ports
from tests.harness.binaries import MissingError, fetched_program, fetched_version
from tests.harness.lifetime import Lifetime
from tests.harness.process import ServerProcess, remove_dir, server_dir
from tests.harness.waiting import eventually


def exporter_program(name: str) -> Path:
    """The program of an exporter, or MissingError."""
    found = fetched_program(name)
    if found is None:
        raise MissingError("exporters", f"no {name}; it comes from Debian's newest suites")
    return found


class Exporter(Lifetime):
    """`with Exporter("postgres_exporter", env={"DATA_SOURCE_NAME": url}) as exporter:`."""

    def __init__(self, name: str, args: Sequence[str] = (), *, env: Mapping[str, str] | None = None) -> None:
        self._program = exporter_program(name)
        self.version = fetched_version(name)
        self._claim = ports.claim()
        self._args = tuple(args)
        self._env = {**os.environ, **(env or {})}
        self.dir = server_dir(name)
        self._process: ServerProcess | None = None

    def start(self, *, timeout: float = 30.0) -> Self:
        address = f"--web.listen-address=127.0.0.1:{self._claim.number}"
        self._process = ServerProcess([self._program, address, *self._args], log=self.dir / "log", env=self._env)
        self._process.until("serves /metrics", self._serves, timeout)
        return self

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill(SIGTERM)
        remove_dir(self.dir)
        self._claim.release()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the exporter was not started")
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._claim.number}/metrics"

    def text(self) -> str:
        return httpx.get(self.url, timeout=30, trust_env=False).raise_for_status().text

    def scrape(self, wanted: str) -> Mapping[str, Scraped]:
        """A whole page: one that has the line `wanted`, as `pg_up 1`."""
        text = eventually(lambda: text if wanted in (text := self.text()).split("\n") else "", what=wanted)
        return read_page(text)

    def _serves(self) -> bool:
        try:
            return httpx.get(self.url, timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False
