"""Owns the bloat laboratory: builds the shapes in a database, asks the estimators as a role, and finds the truth.

The truth is the size after VACUUM FULL and REINDEX, taken at the end, when all estimates are in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from dbwatch.engines.postgres.bloat import (
    BloatFacts,
    Fetch,
    IndexBloat,
    TableBloat,
    estimate_indexes,
    estimate_tables,
    estimate_toast,
)
from tests.harness.waiting import eventually
from tests.postgres.bloat.index_shapes import IndexShape
from tests.postgres.bloat.table_shapes import TableShape

Found = TypeVar("Found", TableBloat, IndexBloat)
Connection = psycopg.Connection[tuple[Any, ...]]
Connect = Callable[..., Connection]
"""(user=…) gives an autocommit session in the laboratory's database."""


def build(connect: Connect, major: int, shapes: Iterable[TableShape | IndexShape]) -> None:
    """Make every shape in one database, each statement's row counts flushed before the next."""
    statements = [statement for shape in shapes if shape.min_major <= major for statement in shape.statements()]
    with connect() as session:
        for statement in statements:
            step(session, statement, connect)


def step(session: Connection, statement: str, connect: Connect) -> None:
    """Run one statement and have its row counts flushed.

    Counts that arrive after a VACUUM or ANALYZE of the same rows are added to what it found, and stay wrong until
    the next one: that is the server's way, and not what a shape is about.
    """
    if session.info.server_version >= 150000:
        session.execute("set vacuum_cost_delay = 0; select setseed(0.42)")
        run(session, statement)
        session.execute("select pg_stat_force_next_flush()")
        return
    with connect() as own:
        own.execute("set vacuum_cost_delay = 0; select setseed(0.42)")
        run(own, statement)
        pid = own.info.backend_pid
    eventually(
        lambda: not session.execute("select from pg_stat_activity where pid = %s", [pid]).fetchall(),
        every=0.002,
        what="the session that did it is gone, and with it its counts on their way",
    )


def run(session: Connection, statement: str) -> None:
    session.execute(statement.encode())


@contextmanager
def guarded(session: Connection) -> Iterator[Fetch]:
    """The caller's side of the contract: one read-only transaction, search_path=pg_catalog, a row cap."""
    session.execute(
        "begin; set transaction read only; set local search_path = pg_catalog; set local lock_timeout = '200ms'; "
        "set local statement_timeout = '20s'; select pg_catalog.pg_is_in_recovery()"
    )

    def fetch(sql: str, *, limit: int) -> Sequence[Mapping[str, object]]:
        with psycopg.RawCursor(session, row_factory=dict_row) as cursor:
            cursor.execute(f"select * from (\n{sql}\n) as q limit $1".encode(), [limit])
            return cursor.fetchall()

    try:
        yield fetch
    finally:
        session.execute("rollback")


def facts(session: Connection) -> BloatFacts:
    rows = session.execute(
        "select e.extname, n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace"
    ).fetchall()
    return BloatFacts(session.info.server_version, dict(rows), 8192)


@dataclass(frozen=True, slots=True)
class Truth:
    """Bytes before and after a rewrite."""

    before: int
    after: int

    @property
    def ratio(self) -> float:
        return max(0.0, 1.0 - self.after / self.before) if self.before else 0.0


def table_truths(connect: Connect) -> dict[str, Truth]:
    """VACUUM FULL every table shape of the laboratory. Nothing of it is as it was afterwards."""
    return _truths(connect, "c.relkind in ('r', 'm') and c.relname like 't %'", "vacuum full {}")


def toast_truths(connect: Connect) -> dict[str, Truth]:
    """VACUUM FULL every table of the laboratory that is there for its TOAST relation, and tell of that one."""
    return _truths(connect, "c.relkind = 'r' and c.relname like 'x %'", "vacuum full {}", size_of="c.reltoastrelid")


def index_truths(connect: Connect) -> dict[str, Truth]:
    """REINDEX every index of the laboratory."""
    return _truths(connect, "c.relkind = 'i' and c.relname like 'i %'", "reindex index {}")


def _truths(connect: Connect, which: str, rewrite: str, size_of: str = "c.oid") -> dict[str, Truth]:
    sizes = (
        f"select c.relname, pg_relation_size({size_of}) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where {which} and n.nspname !~ '^pg_|^information_schema$'"
    )
    with connect() as session:
        before: dict[str, int] = dict(session.execute(sizes.encode()).fetchall())
        for name in before:
            quoted = name.replace('"', '""')
            run(session, rewrite.format(f'"{quoted}"'))
        after: dict[str, int] = dict(session.execute(sizes.encode()).fetchall())
    return {name: Truth(before[name], after[name]) for name in before}


Estimate = TableBloat | IndexBloat


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything the laboratory of one major found out: estimates by tier and name, and the truth by name."""

    major: int
    tables: Mapping[str, Mapping[str, TableBloat]]
    indexes: Mapping[str, Mapping[str, IndexBloat]]
    toast: Mapping[str, Mapping[str, TableBloat]]
    table_truth: Mapping[str, Truth]
    index_truth: Mapping[str, Truth]
    toast_truth: Mapping[str, Truth]


EXTENSIONS = {
    "free space map": ("pg_freespacemap",),
    "pgstattuple": ("pgstattuple", "pg_visibility"),
    "both": ("pg_freespacemap", "pgstattuple", "pg_visibility"),
}
MONITOR = "bloat_monitor"
READER = "bloat_reader"
SCHEMA = "the extensions"


def explore(connect: Connect, major: int) -> Findings:
    """Ask every tier as both roles, then rewrite everything for the truth."""
    tables: dict[str, dict[str, TableBloat]] = {}
    indexes: dict[str, dict[str, IndexBloat]] = {}
    toast: dict[str, dict[str, TableBloat]] = {"plain": _by_name(connect, READER, estimate_toast)}
    for role in (MONITOR, READER):
        tables[f"plain {role}"] = _by_name(connect, role, estimate_tables)
        indexes[f"plain {role}"] = _by_name(connect, role, estimate_indexes)
    indexes["owner"] = _by_name(connect, "postgres", estimate_indexes)
    with connect() as session:
        run(session, f'create schema "{SCHEMA}"; grant usage on schema "{SCHEMA}" to public')
    for tier, extensions in EXTENSIONS.items():
        with connect() as session:
            for extension in extensions:
                run(session, f'create extension {extension} schema "{SCHEMA}"')
        for role in (MONITOR, READER):
            tables[f"{tier} {role}"] = _by_name(connect, role, estimate_tables)
        toast[tier] = _by_name(connect, MONITOR, estimate_toast)
        with connect() as session:
            for extension in extensions:
                run(session, f"drop extension {extension}")
    # Indexes first: VACUUM FULL builds them anew.
    index_truth = index_truths(connect)
    return Findings(major, tables, indexes, toast, table_truths(connect), index_truth, toast_truths(connect))


def _by_name(connect: Connect, role: str, estimate: Callable[..., list[Found]]) -> dict[str, Found]:
    with connect(user=role) as session:
        known = facts(session)
        with guarded(session) as fetch:
            found = estimate(fetch, known, limit=1000)
    return {one.relation if isinstance(one, TableBloat) else one.index: one for one in found}


def report(title: str, estimates: Mapping[str, Estimate], truths: Mapping[str, Truth]) -> str:
    """The table of errors, and under it their mean, signed mean and maximum in points (ranges apart)."""
    estimates = {name: one for name, one in estimates.items() if name in truths}
    lines = [f"{title}", f"{'shape':44} {'truth':>6} {'est.':>6} {'error':>6}  method, confidence or reason"]
    errors = []
    for name, one in sorted(estimates.items()):
        truth = truths[name].ratio * 100
        if one.bloat_ratio is None:
            lines.append(f"{name:44} {truth:6.1f} {'-':>6} {'-':>6}  {one.withheld}")
            continue
        error = one.bloat_ratio * 100 - truth
        high = f" up to {one.bloat_ratio_high:.0%}" if one.bloat_ratio_high is not None else ""
        lines.append(
            f"{name:44} {truth:6.1f} {one.bloat_ratio * 100:6.1f} {error:+6.1f}  {one.method}, {one.confidence}{high}"
        )
        if one.bloat_ratio_high is None:
            errors.append(error)
    if errors:
        mean = sum(map(abs, errors)) / len(errors)
        withheld = sum(one.withheld is not None for one in estimates.values())
        lines.append(
            f"{len(errors)} estimates, mean error {mean:.2f}, bias {sum(errors) / len(errors):+.2f}, "
            f"worst {max(errors, key=abs):+.1f}, ranges {len(estimates) - len(errors) - withheld}, withheld {withheld}"
        )
    return "\n".join(lines)
