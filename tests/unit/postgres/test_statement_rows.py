"""What is made of a look: texts asked for seldom, the share of the work that is seen, and the level of a loop."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from dbwatch.catalogue.loader import load_check
from dbwatch.config.loader import target_from_url
from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes import statements
from dbwatch.engines.postgres.statements import texts
from dbwatch.engines.postgres.statements.counters import Counters
from dbwatch.engines.postgres.statements.ledger import Ledger
from dbwatch.engines.postgres.statements.reading import shape_of
from dbwatch.engines.postgres.statements.snapshot import Entry, Identity, Key, Snapshot
from dbwatch.engines.postgres.statements.texts import Texts
from dbwatch.levels import Sample, holds
from dbwatch.model import Engine, Extension, Facts, RawRow, Reason, Role
from tests.checks.cases import CHECKS

N_PLUS_ONE = load_check(CHECKS / "postgres" / "statement_n_plus_one.yaml", Engine.POSTGRES)
FACTS = Facts(engine=Engine.POSTGRES, version=(18, 0), version_text="18.0", role=Role.PRIMARY, flavour="postgresql")
ONE, TWO = Identity(10, 5, 1), Identity(10, 5, 2)


class Server:
    """Answers requests for texts, or refuses."""

    def __init__(self, answer: Sequence[RawRow] | Refused) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def attempt(self, sql: str, *, limit: int, seconds: float) -> Sequence[RawRow] | Refused:
        assert seconds <= 3
        self.asked.append(sql)
        return self.answer

    @property
    def context(self) -> ProbeContext:
        def fetch(sql: str, *, limit: int) -> Sequence[RawRow]:
            raise AssertionError(f"{sql} may not fail, so it is attempted")

        target = target_from_url("postgresql://dbwatch@localhost/shop")
        return ProbeContext(fetch, self.attempt, lambda: 10.0, FACTS, N_PLUS_ONE, target, Memory(), None)


def _row(identity: Identity, query: str) -> RawRow:
    return {"userid": identity.userid, "dbid": identity.dbid, "queryid": identity.queryid, "query": query}


def test_a_text_is_asked_for_once_and_others_after_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(texts, "time", SimpleNamespace(monotonic=lambda: now[0]))
    server, known = Server([_row(ONE, "select 1 from t")]), Texts()
    assert known.of(server.context, "public", [ONE], "a")[ONE].text == "select ? from t"
    server.answer = [_row(TWO, "select b")]
    assert known.of(server.context, "public", [ONE, TWO], "a")[TWO].text is None
    assert len(server.asked) == 1
    now[0] += 601
    said = known.of(server.context, "public", [ONE, TWO], "a")
    assert (said[ONE].text, said[TWO].text) == ("select ? from t", "select b")
    assert len(server.asked) == 2
    assert "'1'::int8" not in server.asked[1], "what is known is not asked for again"


def test_a_text_that_is_gone_is_not_asked_for_again() -> None:
    server, known = Server([]), Texts()
    for consumer in ("a", "b"):
        assert "no longer" in (known.of(server.context, "public", [ONE], consumer)[ONE].reason or "")
    assert len(server.asked) == 1


def test_texts_the_server_refuses_leave_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """One text that is not valid in the database's encoding makes the server refuse all of them."""
    now = [1000.0]
    monkeypatch.setattr(texts, "time", SimpleNamespace(monotonic=lambda: now[0]))
    server = Server(Refused(Reason.BAD_RESULT, "22021", "invalid byte sequence"))
    known = Texts()
    assert known.of(server.context, "public", [ONE], "a")[ONE].reason == (
        "the server did not give the texts: invalid byte sequence"
    )
    server.answer = [_row(ONE, "select a")]
    now[0] += 601
    assert known.of(server.context, "public", [ONE], "a")[ONE].text == "select a"


# -- columns by version ----------------------------------------------------------------------------

OLDEST = {"calls", "total_time", "stddev_time", "rows", "shared_blks_hit", "blk_read_time", "blk_write_time"}


@pytest.mark.parametrize(
    ("columns", "exec_time", "io", "wal", "toplevel", "since", "info"),
    [
        (OLDEST, "total_time", 2, False, False, False, False),
        (
            OLDEST - {"total_time", "stddev_time"} | {"total_exec_time", "stddev_exec_time", "wal_bytes", "toplevel"},
            *("total_exec_time", 2, True, True, False, False),
        ),
        (
            {"total_exec_time", "stddev_exec_time", "wal_bytes", "toplevel", "stats_since", "dealloc"}
            | {"shared_blk_read_time", "shared_blk_write_time", "local_blk_read_time", "temp_blk_read_time"},
            *("total_exec_time", 4, True, True, True, True),
        ),
    ],
    ids=["1.4", "1.9", "1.12"],
)
def test_each_version_is_asked_for_its_own_columns(
    columns: set[str], exec_time: str, io: int, wal: bool, toplevel: bool, since: bool, info: bool
) -> None:
    shape = shape_of(Extension("pg_stat_statements", "1.x", 'we"ird', frozenset(columns)))
    assert shape.schema == '"we""ird"'
    assert shape.sources["exec_seconds"] == (exec_time,)
    assert len(shape.sources["io_seconds"]) == io
    assert ("wal_bytes" in shape.sources, shape.toplevel == "s.toplevel") == (wal, toplevel)
    assert (shape.since != "null::float8", shape.has_info) == (since, info)


# -- rows ------------------------------------------------------------------------------------------


def _coverage(seconds: float, active: float | None, top: float, nested: float) -> float | None:
    ledger = Ledger()
    for at, share in ((0.0, 0.0), (seconds, 1.0)):
        entries = {
            Key(ONE, True): Entry(Counters(calls=1 + share, exec_seconds=top * share, top_exec_seconds=top * share)),
            Key(TWO, False): Entry(Counters(calls=1 + share, exec_seconds=nested * share)),
        }
        ledger.feed(Snapshot(entries, read_at=at, active_seconds=None if active is None else active * share))
        look = ledger.look("a")
    return statements._coverage(look)


def test_the_coverage_is_what_the_known_statements_account_for() -> None:
    assert _coverage(60, 40.0, 30.0, 25.0) == pytest.approx(0.75), "what runs inside of a function is not counted twice"
    assert _coverage(5, 40.0, 30.0, 0.0) is None, "too short"
    assert _coverage(60, 1.0, 0.1, 0.0) is None, "an idle server"
    assert _coverage(60, None, 30.0, 0.0) is None, "a server that does not tell"


LOOP: dict[str, float] = {
    "calls": 12_000.0,
    "calls_per_second": 200.0,
    "calls_per_transaction": 40.0,
    "rows_per_call": 1.0,
    "mean_seconds": 0.0001,
    "share_of_calls": 0.6,
}


@pytest.mark.parametrize(
    ("what", "changed", "found"),
    [
        ("a loop", {}, True),
        ("rows that are not there", {"rows_per_call": 0.0}, True),
        ("once a transaction, as a session's lookup", {"calls_per_transaction": 1.0}, False),
        ("a handful a transaction", {"calls_per_transaction": 6.0}, False),
        ("an interval that does not tell", {"calls_per_transaction": None}, False),
        ("now and then", {"calls_per_second": 20.0}, False),
        ("a small part of the calls", {"share_of_calls": 0.05}, False),
        ("many rows", {"rows_per_call": 20.0}, False),
        ("slow ones", {"mean_seconds": 0.005}, False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_a_busy_loop_of_tiny_statements_is_one(what: str, changed: dict[str, float | None], found: bool) -> None:
    sample = Sample({**LOOP, **changed}, {"calls": 0.0}, 60.0)
    assert any(holds(level, sample) for level in N_PLUS_ONE.levels.values()) is found, what
