"""A real exporter beside a real server: started, scraped, ended."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx

from tests.compat.scraped import Scraped, read_page
from tests.harness.binaries import MissingError, fetched_program, fetched_version
from tests.harness.http_program import HttpProgram
from tests.harness.waiting import eventually


def exporter_program(name: str) -> Path:
    """The program of an exporter, or MissingError."""
    found = fetched_program(name)
    if found is None:
        raise MissingError("exporters", f"no {name}; it comes from Debian's newest suites")
    return found


class Exporter(HttpProgram):
    """`with Exporter("postgres_exporter", env={"DATA_SOURCE_NAME": url}) as exporter:`."""

    def __init__(self, name: str, args: Sequence[str] = (), *, env: Mapping[str, str] | None = None) -> None:
        super().__init__(name, exporter_program(name), ready="/metrics")
        self.version = fetched_version(name)
        self._args = tuple(args)
        self._env = {**os.environ, **(env or {})}

    def start(self, *, timeout: float = 30.0) -> Self:
        return self.run(self._args, timeout=timeout, env=self._env)

    @property
    def url(self) -> str:
        return f"{self.root}/metrics"

    def text(self) -> str:
        return httpx.get(self.url, timeout=30, trust_env=False).raise_for_status().text

    def scrape(self, wanted: str) -> Mapping[str, Scraped]:
        """A whole page: one that has the line `wanted`, as `pg_up 1`."""
        text = eventually(lambda: text if wanted in (text := self.text()).split("\n") else "", what=wanted)
        return read_page(text)
