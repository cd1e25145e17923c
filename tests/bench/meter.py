"""Owns reading what things cost: a process by the kernel, a server by its own clock, a scrape by ours."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually

_HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "User-Agent": "Prometheus/3.5.0",
}
_SPENT = """
select
  coalesce(sum(s.total_exec_time + s.total_plan_time), 0) / 1000,
  coalesce(sum(s.calls), 0)::int,
  coalesce(sum(s.temp_blks_read + s.temp_blks_written), 0)::int,
  coalesce(max(s.max_exec_time), 0) / 1000
from pg_stat_statements as s
join pg_roles as r on r.oid = s.userid
where r.rolname = %s
"""


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, of all its threads that live, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory_bytes(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


@dataclass(frozen=True, slots=True)
class Spent:
    """What a role has cost a server since its statements were reset."""

    seconds: float
    statements: int
    temp_blocks: int
    slowest_seconds: float


def forget_spent(pg: Postgres, role: str) -> None:
    """Of this role alone: the statements of the others are part of what is watched."""
    pg.sql("select pg_stat_statements_reset(oid) from pg_roles where rolname = %s", [role])


def spent_by(pg: Postgres, role: str) -> Spent:
    (row,) = pg.sql(_SPENT, [role])
    return Spent(*row)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so many are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass(frozen=True, slots=True)
class Scrape:
    """One answer as Prometheus would get it."""

    seconds: float
    wire_bytes: int


class Scraper:
    """Asks one address as Prometheus does: compressed, over a connection that is kept."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._path = parts.path
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)

    def wait(self, timeout: float = 120.0) -> None:
        """Until the page is there: one that nobody has asked for lately is made when somebody does."""
        eventually(lambda: self._status() == 200, timeout=timeout, every=1.0, what=f"{self._path} answers 200")

    def _status(self) -> int:
        answer = self._asked(_HEADERS)
        answer.read()
        return answer.status

    def scrape(self) -> Scrape:
        started = time.perf_counter()
        answer = self._asked(_HEADERS)
        body = answer.read()
        seconds = time.perf_counter() - started
        assert answer.status == 200, body
        return Scrape(seconds, len(body))

    def _asked(self, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """The answer, over a new connection where the server did not keep the last so long: so does Prometheus."""
        try:
            return self._asked_once(headers)
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection.close()
            return self._asked_once(headers)

    def _asked_once(self, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        self._connection.request("GET", self._path, headers=dict(headers))
        return self._connection.getresponse()

    def series(self) -> int:
        """How many samples the page holds now."""
        lines = self._asked({}).read().splitlines()
        return sum(1 for line in lines if line and not line.startswith(b"#"))

    def close(self) -> None:
        self._connection.close()
