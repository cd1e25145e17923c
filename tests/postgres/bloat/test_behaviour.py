"""What the estimators do to a server, and what they do when it will not answer: locks, privileges, budgets, resets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from dbwatch.engines.postgres.bloat import (
    BloatFacts,
    Confidence,
    Fetch,
    IndexBloat,
    Method,
    TableBloat,
    Withheld,
    estimate_indexes,
    estimate_tables,
    estimate_toast,
    measuring,
)
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually
from tests.postgres.bloat import lab

SECRET = "correct horse battery staple"


@pytest.fixture
def place(newest_pg: Postgres) -> Iterator[partial[lab.Connection]]:
    """Sessions in a new database with one table and one index worth listing, and the two roles."""
    newest_pg.create_monitor_role(lab.MONITOR)
    newest_pg.create_monitor_role(lab.READER, grants=("pg_monitor", "pg_read_all_data"))
    name = newest_pg.create_database("bloat_behaviour")
    connect = partial(newest_pg.connect, dbname=name)
    with connect() as session:
        lab.run(session, "create table orders (id int4, note text) with (autovacuum_enabled = off)")
        lab.run(session, f"insert into orders select g, '{SECRET} ' || g % 50 from generate_series(1, 60000) as g")
        lab.run(session, "create index orders_id on orders (id)")
    with connect() as session:
        lab.run(session, "vacuum (analyze) orders")
    yield connect
    newest_pg.drop_database(name)


@contextmanager
def asking(
    connect: partial[lab.Connection], role: str = lab.READER
) -> Iterator[Callable[[], tuple[TableBloat, IndexBloat]]]:
    """A call that gives what is known of `orders` and `orders_id`."""
    with connect(user=role) as session:
        known = lab.facts(session)

        def ask() -> tuple[TableBloat, IndexBloat]:
            with lab.guarded(session) as fetch:
                (table,) = estimate_tables(fetch, known)
                (index,) = estimate_indexes(fetch, known)
                return table, index

        yield ask


def test_a_held_exclusive_lock_is_told_and_not_waited_for(place: partial[lab.Connection]) -> None:
    with place() as other, asking(place) as ask:
        lab.run(other, "begin; lock table orders in access exclusive mode")
        table, index = ask()
        assert (table.withheld, index.withheld) == (Withheld.LOCKED, Withheld.LOCKED)
        assert (table.relation_bytes, index.index_bytes) == (None, None)
        lab.run(other, "rollback")
        assert ask()[0].withheld is None


def test_a_waiting_exclusive_lock_counts_as_held(place: partial[lab.Connection]) -> None:
    with place() as reader, place() as changer, asking(place) as ask:
        lab.run(reader, "begin; select from orders limit 1")
        waiting = threading.Thread(target=lab.run, args=(changer, "lock table orders in access exclusive mode"))
        lab.run(changer, "begin")
        waiting.start()
        try:
            eventually(lambda: ask()[0].withheld is Withheld.LOCKED, what="the queue is seen")
        finally:
            lab.run(reader, "rollback")
            waiting.join()
            lab.run(changer, "rollback")


def test_a_locked_index_leaves_its_table_alone(place: partial[lab.Connection]) -> None:
    with place() as other, asking(place) as ask:
        lab.run(other, "begin; reindex index orders_id")
        table, index = ask()
        lab.run(other, "rollback")
    assert (table.withheld, index.withheld) == (None, Withheld.LOCKED)


def test_no_value_of_a_user_leaves_the_server(place: partial[lab.Connection]) -> None:
    seen: list[str] = []
    with place(user=lab.READER) as session:
        known = lab.facts(session)
        with lab.guarded(session) as fetch:

            def spying(sql: str, *, limit: int) -> Sequence[Mapping[str, object]]:
                rows = fetch(sql, limit=limit)
                seen.extend(str(value) for row in rows for value in row.values())
                return rows

            estimate_tables(spying, known)
            estimate_indexes(spying, known)
    assert "orders" in seen
    assert not any("horse" in value for value in seen)


def test_the_estimators_leave_no_lock_behind(place: partial[lab.Connection]) -> None:
    with place() as session:
        lab.run(session, "create extension pg_freespacemap; create extension pgstattuple")
    with place(user=lab.READER) as session, place() as other:
        known = lab.facts(session)
        with lab.guarded(session) as fetch:
            estimate_tables(fetch, known)
            estimate_indexes(fetch, known)
            lab.run(other, "set lock_timeout = '1s'; begin; lock table orders in access exclusive mode; rollback")


def test_select_on_one_table_is_enough_for_that_table(place: partial[lab.Connection]) -> None:
    with place() as session:
        lab.run(session, f"grant select on orders to {lab.MONITOR}")
    with asking(place, lab.MONITOR) as ask:
        table, index = ask()
    assert (table.method, index.method) == (Method.STATISTICS, Method.STATISTICS)


def test_row_security_hides_statistics_and_is_a_matter_of_privilege(place: partial[lab.Connection]) -> None:
    with place() as session:
        lab.run(session, "alter table orders enable row level security")
    with asking(place) as ask:
        assert {one.withheld for one in ask()} == {Withheld.PRIVILEGE}


def test_an_extension_out_of_reach_is_as_good_as_none(place: partial[lab.Connection]) -> None:
    with place() as session:
        lab.run(session, "create schema hidden; create extension pg_freespacemap schema hidden")
        lab.run(
            session,
            "create extension pgstattuple; revoke execute on function pgstattuple_approx from pg_stat_scan_tables",
        )
    with asking(place, lab.MONITOR) as ask:
        assert ask()[0].withheld is Withheld.PRIVILEGE


def test_counters_lost_by_a_reset_lower_the_confidence(place: partial[lab.Connection]) -> None:
    with place() as session:
        lab.run(session, "create extension pg_freespacemap; select pg_stat_reset()")
    with asking(place) as ask:
        table, index = ask()
    assert (table.method, table.confidence) == (Method.FREE_SPACE_MAP, Confidence.LOW)
    assert table.dead_bytes is None
    assert table.bloat_ratio == pytest.approx(0.0, abs=0.02)
    assert index.confidence is Confidence.LOW


def test_growth_after_a_reset_is_not_taken_for_bloat(place: partial[lab.Connection]) -> None:
    with place() as session:
        lab.run(session, "insert into orders select g, 'more ' || g from generate_series(1, 60000) as g")
    with place() as session:
        lab.run(session, "select pg_stat_reset()")
    with asking(place) as ask:
        assert {one.withheld for one in ask()} == {Withheld.STALE_STATISTICS}


def test_rolled_back_rows_after_a_reset_stay_in_bounds(place: partial[lab.Connection]) -> None:
    with place() as session:
        lab.run(session, "create extension pg_freespacemap")
    with place() as session:
        lab.run(session, "begin; insert into orders select g, 'x' from generate_series(1, 60000) as g; rollback")
    with place() as session:
        lab.run(session, "select pg_stat_reset_single_table_counters('orders'::regclass)")
        lab.run(session, "analyze orders")
    with place() as session:
        lab.run(session, "vacuum (index_cleanup off, truncate off) orders")
    with asking(place) as ask:
        table, _ = ask()
    assert table.bloat_ratio is not None
    assert table.bloat_ratio <= (table.bloat_ratio_high or 1.0)


def test_large_maps_are_sampled(place: partial[lab.Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    with place() as session:
        lab.run(session, "create extension pg_freespacemap; delete from orders where id % 3 = 0")
    with place() as session:
        lab.run(session, "vacuum (analyze) orders")
    with asking(place, lab.MONITOR) as ask:
        whole, _ = ask()
        monkeypatch.setattr(measuring, "FSM_PAGES", 50)
        monkeypatch.setattr(measuring, "FSM_PAGES_PER_HEAP", 50)
        sampled, _ = ask()
    assert whole.method is sampled.method is Method.FREE_SPACE_MAP
    assert sampled.bloat_ratio == pytest.approx(whole.bloat_ratio, abs=0.02)


def test_heap_pages_beyond_the_budget_are_not_read(
    place: partial[lab.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "HEAP_PAGES", 100)
    with place() as session:
        lab.run(session, "create extension pgstattuple")
    with asking(place, lab.MONITOR) as ask:
        assert ask()[0].withheld is Withheld.PRIVILEGE
        with place() as session:
            lab.run(session, "create extension pg_visibility")
    with asking(place, lab.MONITOR) as ask:
        assert ask()[0].method is Method.PGSTATTUPLE_APPROX, "an all-visible table costs nothing to look at"


def test_only_as_many_as_asked_for_are_measured(place: partial[lab.Connection]) -> None:
    with place() as session:
        lab.run(session, "create table larger as select g, repeat('x', 200) as v from generate_series(1, 60000) as g")
    with place() as session:
        lab.run(session, "vacuum (analyze) larger")
    with place(user=lab.READER) as session:
        known = lab.facts(session)
        with lab.guarded(session) as fetch:
            assert [one.relation for one in estimate_tables(fetch, known, limit=1)] == ["larger"]


def test_a_database_without_large_relations_gives_nothing(newest_pg: Postgres) -> None:
    with newest_pg.connect() as session:
        known = lab.facts(session)
        with lab.guarded(session) as fetch:
            assert _nothing(fetch, known)


def _nothing(fetch: Fetch, known: BloatFacts) -> bool:
    return estimate_tables(fetch, known) == [] and estimate_indexes(fetch, known) == []


def test_a_standby_without_counters_still_answers(newest_pg: Postgres, fresh_postgres: Callable[..., Postgres]) -> None:
    primary = fresh_postgres(newest_pg.major, settings={"autovacuum": "off"})
    primary.create_monitor_role(lab.READER, grants=("pg_monitor", "pg_read_all_data"))
    primary.sql("create table orders (id int4, note text)")
    primary.sql("insert into orders select g, md5(g::text) from generate_series(1, 60000) as g")
    primary.sql("create extension pg_freespacemap")
    primary.sql("create index orders_id on orders (id)")
    primary.sql("delete from orders where id % 2 = 0")
    primary.sql("vacuum (analyze) orders")
    standby = primary.standby()
    primary.wait_caught_up(standby)
    with asking(partial(standby.connect)) as ask:
        table, index = ask()
    assert table.bloat_ratio == pytest.approx(0.5, abs=0.03)
    assert index.bloat_ratio == pytest.approx(0.5, abs=0.03)
    assert (table.confidence, index.confidence) == (Confidence.LOW, Confidence.LOW)


def test_pages_read_stay_inside_the_budget(place: partial[lab.Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "FSM_PAGES", 40)
    monkeypatch.setattr(measuring, "FSM_PAGES_PER_HEAP", 40)
    monkeypatch.setattr(measuring, "HEAP_PAGES", 100)
    with place() as session:
        for extension in ("pg_freespacemap", "pg_visibility", "pgstattuple"):
            lab.run(session, f"create extension {extension}")
        lab.run(session, "update orders set note = note || 'x'")  # as large as all of the budgets, and not all-visible
    bounded = _blocks_read(place)
    assert 0 < bounded <= 2 * 40, "an entry of the free space map is one access, and none was to the heap"
    monkeypatch.setattr(measuring, "HEAP_PAGES", 100_000)
    assert _blocks_read(place) > 800, "this is how the counters show it"


def _blocks_read(place: partial[lab.Connection]) -> int:
    """Blocks of `orders` that one look of the estimators fetched, by the server's own count."""

    def fetched() -> int:
        asked = "select pg_stat_get_blocks_fetched('orders'::regclass)"
        with place() as session:
            return int(session.execute(asked).fetchall()[0][0])

    with place() as session:
        # A session hands its counters in when it ends.
        eventually(
            lambda: session.execute(
                "select count(*) = 1 from pg_stat_activity where datname = current_database()"
            ).fetchall()[0][0],
            what="all others are gone",
        )
    before = fetched()
    with asking(place, lab.MONITOR) as ask:
        ask()
    eventually(lambda: fetched() > before, what="the counters of the look arrive")
    return fetched() - before


def test_a_toast_relation_goes_by_the_name_of_its_table(place: partial[lab.Connection]) -> None:
    with place() as session:
        lab.run(session, "create extension pg_freespacemap; alter table orders alter note set storage external")
        lab.run(session, "insert into orders select g, repeat('x', 8100) from generate_series(1, 300) as g")
    with place() as session:
        lab.run(session, "vacuum orders")
        lab.run(session, "delete from orders where length(note) > 8000 and id % 2 = 0")
    with place() as session:
        lab.run(session, "vacuum orders")
    with place(user=lab.MONITOR) as session, place() as other:
        known = lab.facts(session)

        def ask() -> TableBloat:
            with lab.guarded(session) as fetch:
                (toast,) = estimate_toast(fetch, known)
                return toast

        found = ask()
        assert (found.schema, found.relation, found.method) == ("public", "orders", Method.FREE_SPACE_MAP)
        assert found.bloat_ratio == pytest.approx(0.5, abs=0.03)
        lab.run(other, "begin; lock table orders in access exclusive mode")
        assert ask().withheld is Withheld.LOCKED
