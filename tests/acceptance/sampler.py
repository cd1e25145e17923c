"""A scraper that never rests: asks /metrics every 50 ms from a thread and remembers how each answer was."""

from __future__ import annotations

import http.client
import math
import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.harness.beside import Beside

_KEPT = re.compile(r'dbwatch_target_up\{|dbwatch_check_(?:reason|status)\{check="(?P<check>\w+)"')


@dataclass(frozen=True, slots=True)
class Scrape:
    """One answer. `late` is how much later than meant the machine let us ask: its load, not the daemon's."""

    at: float
    late: float
    seconds: float
    status: int
    lines: frozenset[str]


@dataclass(slots=True)
class Window:
    """The scrapes between two moments."""

    scrapes: list[Scrape] = field(default_factory=list)

    def saw(self, line: str) -> bool:
        """Whether some page had exactly this line."""
        return any(line in scrape.lines for scrape in self.scrapes)

    def reasons(self, target: str) -> set[str]:
        """Every reason any check of the target gave."""
        lines = {line for scrape in self.scrapes for line in scrape.lines}
        ours = (line for line in lines if line.startswith("dbwatch_check_reason{") and f'target="{target}"' in line)
        return {line.partition('reason="')[2].partition('"')[0] for line in ours}

    def lines_of(self, target: str, family: str) -> set[str]:
        """Every line of a family any page had for the target."""
        wanted = f'target="{target}"'
        lines = {line for scrape in self.scrapes for line in scrape.lines}
        return {line for line in lines if line.startswith(family + "{") and wanted in line}


class Sampler(Beside):
    """`with Sampler(port, checks) as sampler:`; `with sampler.window() as window:` gives what was seen inside.

    Of every page it remembers who was up, and status and reason of these checks.
    """

    def __init__(self, port: int, checks: Collection[str], every: float = 0.05) -> None:
        super().__init__("sampler")
        self._port = port
        self._checks = frozenset(checks)
        self._every = every
        self._scrapes: list[Scrape] = []

    @contextmanager
    def window(self) -> Iterator[Window]:
        window = Window()
        first = len(self._scrapes)
        yield window
        window.scrapes += self._scrapes[first:]

    def _keeps(self, line: str) -> bool:
        match = _KEPT.match(line)
        return match is not None and (match["check"] is None or match["check"] in self._checks)

    def work(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        before: frozenset[str] = frozenset()
        due = time.monotonic()
        while not self.ending.wait(max(0.0, due - time.monotonic())):
            started = time.monotonic()
            try:
                connection.request("GET", "/metrics")
                answer = connection.getresponse()
                body, status = answer.read(), answer.status
            except (OSError, http.client.HTTPException):
                body, status = b"", 0
                connection.close()
            ended = time.monotonic()
            lines = frozenset(line for line in body.decode().splitlines() if self._keeps(line))
            before = before if lines == before else lines
            self._scrapes.append(Scrape(started, started - due, ended - started, status, before))
            due = max(due + self._every, ended)
        connection.close()


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def assert_always_answered(window: Window) -> None:
    """200 every time, and no answer waits for a database, which here takes two seconds and more to be given up.

    Half come within 50 ms, all but one in ten within 100 ms, all within 1.5 s: a busy machine holds up one or another.
    Not counted is how late the machine runs us, who do nothing but wait for the clock.
    """
    scrapes = window.scrapes
    assert scrapes
    assert {scrape.status for scrape in scrapes} == {200}
    took, late = [scrape.seconds for scrape in scrapes], [max(0.0, scrape.late) for scrape in scrapes]
    assert quantile(took, 0.5) < 0.05 + quantile(late, 0.5), sorted(took)
    slow = sorted(seconds for seconds in took if seconds > 0.1 + quantile(late, 0.9))
    assert len(slow) <= max(1, len(took) // 10), (len(took), slow)
    assert max(took) < 1.5 + max(late), slow
