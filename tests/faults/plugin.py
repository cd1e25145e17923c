"""Owns the last line about the faults: how many of the rows this run has shown to hold. Loaded by tests/conftest.py.

The reports of every worker come to the process that started them, so it alone counts.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.faults.rows import ROWS
from tests.faults.table import row_of

_FOLDER: Final = "tests/faults/"
_FEW: Final = 20
_TALLY: Final = pytest.StashKey["Tally"]()


class Tally:
    """What became of the tests of each row."""

    def __init__(self) -> None:
        self._passed: set[int] = set()
        self._failed: set[int] = set()

    @property
    def is_empty(self) -> bool:
        return not self._passed | self._failed

    def add(self, node_id: str, outcome: str, when: str) -> None:
        """A row is lost with one failure, at whatever step; a skipped test says nothing."""
        row = row_of(node_id.partition("[")[0].rpartition("::")[2]) if node_id.startswith(_FOLDER) else None
        if row is None:
            return
        if outcome == "failed":
            self._failed.add(row)
        elif outcome == "passed" and when == "call":
            self._passed.add(row)

    def line(self) -> str:
        missing = [row for row in ROWS if row not in self._passed - self._failed]
        told = f"fault rows: passed {len(ROWS) - len(missing)} / {len(ROWS)}"
        return f"{told} (not: {', '.join(map(str, missing))})" if 0 < len(missing) <= _FEW else told


class _Counting:
    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._tally.add(report.nodeid, report.outcome, report.when)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        tally = config.stash[_TALLY] = Tally()
        config.pluginmanager.register(_Counting(tally), "dbwatch-fault-rows")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tally = config.stash.get(_TALLY, None)
    if tally is not None and not tally.is_empty:
        terminalreporter.write_line(tally.line())
