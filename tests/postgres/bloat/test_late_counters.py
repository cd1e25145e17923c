"""Tables filled, changed and vacuumed by one session that then leaves: its counters arrive after the VACUUM.

This is how people load data, and how they try a monitor out. The answer is right at once, and never too high.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.rows import dict_row

from dbwatch.engines.postgres.bloat import (
    BloatFacts,
    IndexBloat,
    TableBloat,
    Withheld,
    estimate_indexes,
    estimate_tables,
)
from dbwatch.engines.postgres.bloat.model import Fetch
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually

_TABLE = "create table t (id int primary key, a text, b text) with (autovacuum_enabled = off)"
_FILL = "insert into t select g, md5(g::text), 'x' from generate_series(1, 60000) as g"


@dataclass(frozen=True, slots=True)
class Story:
    """What each session does before it leaves, and what a rewrite then gives back of table and index."""

    sessions: tuple[tuple[str, ...], ...]
    table: float | Withheld
    index: float
    at_most: bool = False
    """Rows died after the VACUUM, which late counters cannot prove: the answer is the lower end."""

    @property
    def counts(self) -> tuple[int, int, bool, bool]:
        """How often VACUUM and ANALYZE were run, and whether rows were deleted and updated."""
        done = " ".join(statement for session in self.sessions for statement in session)
        return done.count("vacuum"), done.count("analyze"), "delete" in done, "update" in done


STORIES = {
    "filled": Story(((_FILL, "analyze t"),), 0.0, 0.0),
    "deleted": Story(((_FILL, "delete from t where id % 5 <> 0", "vacuum t", "analyze t"),), 0.8, 0.79),
    "updated": Story(((_FILL, "update t set b = 'y'", "update t set b = 'z'", "vacuum analyze t"),), 0.667, 0.499),
    "filled, later deleted": Story(
        ((_FILL, "analyze t"), ("delete from t where id % 5 <> 0", "vacuum analyze t")), 0.8, 0.79
    ),
    "filled, later updated": Story(
        ((_FILL, "analyze t"), ("update t set b = 'y'", "update t set b = 'z'", "vacuum analyze t")), 0.667, 0.499
    ),
    "widened and not analyzed": Story(
        ((_FILL, "vacuum analyze t"), ("update t set b = repeat('w', 200)", "vacuum t")),
        Withheld.STALE_STATISTICS,
        0.499,
    ),
    "deleted and not vacuumed": Story(
        ((_FILL, "vacuum analyze t"), ("delete from t where id % 2 = 0",)), 0.5, 0.496, at_most=True
    ),
}


@pytest.mark.parametrize("story", list(STORIES))
def test_the_answer_is_right_at_once(pg: Postgres, database: str, story: str) -> None:
    told = STORIES[story]
    pg.sql(_TABLE, dbname=database)
    for statements in told.sessions:
        with pg.connect(dbname=database) as session:
            for statement in statements:
                session.execute(statement.encode())
    eventually(lambda: _counted(pg, database, told), what="the counters have arrived")
    (table,), (index,) = _estimates(pg, database)
    if isinstance(told.table, Withheld):
        assert (table.withheld, table.bloat_ratio) == (told.table, None)
    else:
        _is_right(table, told.table, told.at_most)
    _is_right(index, told.index, told.at_most)


def _is_right(found: TableBloat | IndexBloat, truth: float, at_most: bool) -> None:
    assert found.bloat_ratio is not None
    high = found.bloat_ratio_high if found.bloat_ratio_high is not None else found.bloat_ratio
    assert found.bloat_ratio - 0.03 <= truth <= high + 0.03
    if not at_most:
        assert found.bloat_ratio == pytest.approx(truth, abs=0.03)


def _counted(pg: Postgres, database: str, told: Story) -> bool:
    asked = """
        select n_tup_ins >= 60000 and vacuum_count >= %s and analyze_count >= %s
          and (n_tup_del > 0) = %s and (n_tup_upd > 0) = %s
        from pg_stat_user_tables
    """
    return pg.sql(asked, list(told.counts), dbname=database) == [(True,)]


def _estimates(pg: Postgres, database: str) -> tuple[list[TableBloat], list[IndexBloat]]:
    with psycopg.connect(pg.url(dbname=database), autocommit=True) as session:

        def fetch(sql: str, *, limit: int) -> Sequence[dict[str, object]]:
            with psycopg.RawCursor(session, row_factory=dict_row) as cursor:
                return cursor.execute(f"select * from ({sql}) as q limit $1".encode(), [limit]).fetchall()

        reading: Fetch = fetch
        facts = BloatFacts(session.info.server_version, {}, 8192)
        return estimate_tables(reading, facts), estimate_indexes(reading, facts)
