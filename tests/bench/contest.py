"""Owns measuring two monitors on one server in one run, turn by turn, so that what else the machine does hits both."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from tests.bench.meter import Scraper, cpu_seconds, memory_bytes, quantile

SCRAPE_SECONDS = 15.0
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is scraped, and whose process answers."""

    name: str
    url: str
    pid: int


@dataclass(frozen=True, slots=True)
class Result:
    """What the scrapes of one page were like.

    `paced_*` are scrapes a whole interval apart: everything has changed since the one before. `cpu_seconds` is the
    processor time of the answering process for one such scrape, without what it does in the meantime.
    """

    name: str
    series: int
    wire_bytes: int
    paced_p50_seconds: float
    paced_p99_seconds: float
    at_once_p50_seconds: float
    cpu_seconds: float
    cpu_at_once_seconds: float
    resident_bytes: int

    def document(self) -> Mapping[str, object]:
        return asdict(self)


def contest(pages: Sequence[Page], *, rounds: int, pause_seconds: float, at_once: int) -> list[Result]:
    """Scrape every page once a round, with a pause between rounds, then each many times in a row, in turns."""
    scrapers = {page.name: Scraper(page.url) for page in pages}
    paced: dict[str, list[float]] = {page.name: [] for page in pages}
    burst: dict[str, list[float]] = {page.name: [] for page in pages}
    spent: dict[str, list[float]] = {page.name: [] for page in pages}
    spent_at_once: dict[str, list[float]] = {page.name: [] for page in pages}
    wire: dict[str, int] = {}
    for page in pages:
        scrapers[page.name].wait()
    for _ in range(rounds):
        time.sleep(pause_seconds)
        for page in pages:
            before = cpu_seconds(page.pid)
            scrape = scrapers[page.name].scrape()
            spent[page.name].append(cpu_seconds(page.pid) - before)
            paced[page.name].append(scrape.seconds)
            wire[page.name] = scrape.wire_bytes
    for _ in range(at_once):
        for page in pages:
            before = cpu_seconds(page.pid)
            burst[page.name].append(scrapers[page.name].scrape().seconds)
            spent_at_once[page.name].append(cpu_seconds(page.pid) - before)
    results = [
        Result(
            name=page.name,
            series=scrapers[page.name].series(),
            wire_bytes=wire[page.name],
            paced_p50_seconds=quantile(paced[page.name], 0.5),
            paced_p99_seconds=quantile(paced[page.name], 0.99),
            at_once_p50_seconds=quantile(burst[page.name], 0.5),
            # The median: what else the process did during a scrape is not the scrape's.
            cpu_seconds=quantile(spent[page.name], 0.5),
            cpu_at_once_seconds=quantile(spent_at_once[page.name], 0.5),
            resident_bytes=memory_bytes(page.pid),
        )
        for page in pages
    ]
    for scraper in scrapers.values():
        scraper.close()
    return results
