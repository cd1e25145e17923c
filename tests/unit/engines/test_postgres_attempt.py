"""A query inside the guarded transaction that ran out of time: whose time it was decides what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import psycopg
import pytest

from dbwatch import deadline
from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.postgres import guard
from dbwatch.model import RawRow, Reason


class _Connection:
    broken = False
    closed = False

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def execute(self, text: bytes) -> None:
        self.said.append(text)


@pytest.mark.parametrize(
    ("seconds", "spent", "survived"),
    [(10, 0.5003, False), (0.5009, 0.5003, False), (0.2, 0.2001, True), (0.2, 0.1, False), (0.2, 0.6, False)],
    ids=["the run's", "the run's, named", "its own", "somebody's cancel", "both"],
)
def test_whose_time_it_was(monkeypatch: pytest.MonkeyPatch, seconds: float, spent: float, survived: bool) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(guard, "time", clock)
    monkeypatch.setattr(deadline, "time", clock)

    class Canceled(guard.Transaction):
        def fetch(self, sql: str, *, limit: int, is_fixed: bool = False) -> Sequence[RawRow]:
            now[0] += spent
            raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

    connection = _Connection()
    transaction = Canceled(cast("psycopg.Connection[tuple[object, ...]]", connection), lambda _: None)
    transaction._deadline = deadline.Deadline.after(0.5009)
    if survived:
        refused = transaction.attempt("select 1", limit=1, seconds=seconds)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.TIMEOUT
        assert connection.said[-1].startswith(b"rollback to savepoint")
    else:
        with pytest.raises(psycopg.errors.QueryCanceled):
            transaction.attempt("select 1", limit=1, seconds=seconds)
        assert len(connection.said) == 1
