"""Owns the indexes the btree estimator is tried on: how each is made, and what may be said of it.

`{t}` is the quoted name of the shape's table, `{i}` the index's: the shape's name. Steps run one by one in autocommit.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbwatch.engines.postgres.bloat import Withheld

ANALYZE = "vacuum (analyze) {t}"


@dataclass(frozen=True, slots=True)
class IndexShape:
    """One index on a table of its own. `withheld` is the reason that must be given; None where it must answer."""

    name: str
    steps: tuple[str, ...]
    withheld: Withheld | None = None
    untouched: bool = False
    """Built after the load, or filled in key order: nothing here may look like bloat."""
    lower_bound: bool = False
    """Only a lower bound is promised."""
    min_major: int = 13
    listed: bool = True

    @property
    def ident(self) -> str:
        return '"' + self.name.replace('"', '""') + '"'

    @property
    def table(self) -> str:
        return '"' + self.name.replace('"', '""') + ' table"'

    def statements(self) -> list[str]:
        names = {"{t}": self.table, "{i}": self.ident, "{s}": self.ident[:-1] + ' sets"'}
        statements = list(self.steps)
        for mark, name in names.items():
            statements = [statement.replace(mark, name) for statement in statements]
        return statements


def built(name: str, columns: str, select: str, on: str, rows: int = 60000, **kind: object) -> IndexShape:
    """An index made after the load."""
    unique = "unique " if on.startswith("unique ") else ""
    return IndexShape(
        name,
        (
            f"create table {{t}} ({columns})",
            f"insert into {{t}} select {select} from generate_series(1, {rows}) as g",
            f"create {unique}index {{i}} on {{t}} {on.removeprefix('unique ')}",
            ANALYZE,
        ),
        untouched=True,
        **kind,  # type: ignore[arg-type]
    )


def churned(name: str, columns: str, select: str, on: str, *more: str, rows: int = 60000, **kind: object) -> IndexShape:
    """An index that lives through the load and what follows."""
    unique = "unique " if on.startswith("unique ") else ""
    return IndexShape(
        name,
        (
            f"create table {{t}} ({columns})",
            f"create {unique}index {{i}} on {{t}} {on.removeprefix('unique ')}",
            f"insert into {{t}} select {select} from generate_series(1, {rows}) as g",
            *more,
        ),
        **kind,  # type: ignore[arg-type]
    )


_SHAPES: tuple[IndexShape, ...] = (
    built("i unique int8", "a int8 not null", "g", "unique (a)", 100000),
    built("i unique nullable int8", "a int8", "g", "unique (a)", 100000),
    built("i int4 of 1000 values", "a int4", "g % 1000", "(a)", 200000),
    built("i int4 of 20000 values", "a int4", "g % 20000", "(a)", 100000),
    built("i int4 in pairs", "a int4", "g / 2", "(a)", 80000),
    built("i int4 in fives", "a int8", "g / 5", "(a)", 100000),
    built("i int4 at random", "a int4", "(random() * 40000)::int4", "(a)", 80000),
    built("i int4 skewed", "a int4", "(10000 * random() ^ 4)::int4", "(a)", 150000),
    built("i int4 skewed far", "a int4", "(100000 * random() ^ 6)::int4", "(a)", 150000, lower_bound=True),
    built("i bool", "a bool", "g % 2 = 0", "(a)", 250000),
    built("i text, 50 values, tenth NULL", "a text", "case when g % 10 > 0 then 'value ' || g % 50 end", "(a)", 200000),
    built("i mostly NULL", "a int8", "case when g % 20 = 0 then g end", "(a)", 200000),
    built("i unique text", "a text not null", "md5(g::text)", "unique (a)", 30000),
    built("i text of many lengths", "a text", "repeat('x', g % 90) || g", "(a)", 30000),
    built("i varchar emails", "a varchar(100)", "'user' || g || '@example' || g % 7 || '.com'", "(a)", 40000),
    built("i numeric", "a numeric", "g * 1.25", "(a)", 80000),
    built("i numeric, few values", "a numeric(10, 2)", "g % 100", "(a)", 80000),
    built("i float8, few values", "a float8", "g % 100", "(a)", 80000),
    built("i bpchar, few values", "a char(8)", "'k' || g % 100", "(a)", 150000),
    built("i name", "a name", "'name' || g", "(a)", 40000),
    built("i uuid", "a uuid not null", "md5(g::text)::uuid", "(a)", 40000),
    built("i timestamptz", "a timestamptz not null", "now() - g * interval '1 s'", "(a)", 80000),
    built("i date, few values", "a date", "date '2024-01-01' + g % 365", "(a)", 200000),
    built("i two columns, first nullable", "a int4, b int8", "case when g % 3 > 0 then g end, g", "(a, b)", 80000),
    built("i two columns, unique pair", "a int4 not null, b int4 not null", "g % 100, g", "(a, b)", 80000),
    built("i two columns, few of each", "a int4, b int4", "g % 20, (g / 20) % 10", "(a, b)", 150000),
    built("i two columns, dependent", "a int4, b int4", "g % 1000, (g % 1000) * 7", "(a, b)", 200000, lower_bound=True),
    IndexShape(
        "i two columns, dependent, statistics",
        (
            "create table {t} (a int4, b int4)",
            "create statistics {s} (ndistinct) on b, a from {t}",
            "insert into {t} select g % 1000, (g % 1000) * 7 from generate_series(1, 200000) as g",
            "create index {i} on {t} (b, a)",
            ANALYZE,
        ),
        untouched=True,
    ),
    built("i fillfactor 70", "a int8 not null", "g", "(a) with (fillfactor = 70)", 80000),
    built("i fillfactor 100", "a int8 not null", "g", "(a) with (fillfactor = 100)", 80000),
    built("i no deduplication", "a int4", "g % 1000", "(a) with (deduplicate_items = off)", 80000),
    built("i INCLUDE", "a int4 not null, b text", "g % 1000, md5(g::text)", "(a) include (b)", 40000),
    built("i unique INCLUDE", "a int4 not null, b int8 not null", "g, g", "unique (a) include (b)", 80000),
    built(
        "i partial, a quarter",
        "a int4, b int4",
        "g, g % 4",
        "(a) where b = 3",
        200000,
        withheld=Withheld.PARTIAL_PREDICATE,
    ),
    built("i partial, unique key", "a int8 not null, b int4", "g, g % 3", "(a) where b = 1", 200000),
    built(
        "i partial, not null",
        "a int4, b int4",
        "case when g % 2 = 0 then g % 100 end, g",
        "(a) where a is not null",
        350000,
    ),
    built("i expression", "a text", "'Value ' || g", "(lower(a))", 40000),
    built("i expression, few values", "a int8", "g", "((a % 100))", 150000),
    IndexShape(
        "i expression, not analyzed",
        (
            "create table {t} (a text)",
            "insert into {t} select 'Value ' || g from generate_series(1, 60000) as g",
            ANALYZE,
            "create index {i} on {t} (lower(a))",
        ),
        withheld=Withheld.EXPRESSION,
    ),
    built(
        "i descending, nulls first",
        "a int4, b text",
        "g % 500, 'x' || g % 7",
        "(a desc nulls first, b)",
        160000,
        lower_bound=True,
    ),
    built("i jsonb key", "a jsonb", "jsonb_build_object('n', g)", "(a)", 30000),
    built("i text array", "a text[]", "array['a' || g % 9, 'b' || g]", "(a)", 30000),
    built("i enum", "a a_mood", "(enum_range(null::a_mood))[g % 3 + 1]", "(a)", 240000),
    built("i domain over int4", "a a_domain", "g % 5000", "(a)", 150000),
    built("i bytea", "a bytea", "uuid_send(lpad((g % 3000)::text, 32, '7')::uuid)", "(a)", 220000),
    built("i inet", "a inet", "'10.0.0.0'::inet + g % 30000", "(a)", 120000),
    built("i range", "a int4range", "int4range(g, g + 5)", "(a)", 40000),
    built("i two expressions", "a text, b int4", "'Value ' || g, g", "(upper(a), (b % 7))", 40000),
    built("i many columns", "a int4, b int4, c int8, d text", "g % 9, g % 7, g, 'x' || g % 5", "(a, b, c, d)", 40000),
    built("i nulls not distinct", "a int4", "nullif(g, 5)", "unique (a) nulls not distinct", 80000, min_major=15),
    built("i text_pattern_ops", "a text", "'key ' || g % 2000", "(a text_pattern_ops)", 150000),
    built('i "größe" ☃', "a int4", "g % 300", "(a)", 200000),
    built("i gin", "a int4[]", "array[g, g % 7]", "using gin (a)", 60000, withheld=Withheld.UNSUPPORTED_ACCESS_METHOD),
    built("i hash", "a int4", "g", "using hash (a)", 60000, withheld=Withheld.UNSUPPORTED_ACCESS_METHOD),
    built("i tiny", "a int4", "g", "(a)", 100, listed=False),
    churned("i ascending inserts", "a int8 not null", "g", "unique (a)", ANALYZE, rows=80000, untouched=True),
    churned("i random uuid inserts", "a uuid not null", "md5(g::text)::uuid", "unique (a)", ANALYZE, untouched=True),
    churned("i random dedup inserts", "a int4", "(random() * 3000)::int4", "(a)", ANALYZE, rows=200000),
    churned("i delete 60 %, vacuum", "a int8 not null", "g", "unique (a)", "delete from {t} where a % 5 < 3", ANALYZE),
    churned("i delete 15 %, no vacuum", "a int8", "g", "(a)", ANALYZE, "delete from {t} where a % 20 < 3"),
    churned(
        "i delete half, no vacuum",
        "a int8",
        "g",
        "(a)",
        ANALYZE,
        "delete from {t} where a % 2 = 0",
        withheld=Withheld.STALE_STATISTICS,
    ),
    churned(
        "i unique, delete half, no vacuum",
        "a int8 not null",
        "g",
        "unique (a)",
        ANALYZE,
        "delete from {t} where a % 2 = 0",
    ),
    churned(
        "i uuid, two full updates",
        "a uuid not null, b int4",
        "md5(g::text)::uuid, g",
        "(a)",
        "update {t} set a = md5(a::text)::uuid",
        "vacuum {t}",
        "update {t} set a = md5(a::text)::uuid",
        ANALYZE,
        rows=25000,
    ),
    churned(
        "i dedup, two full updates",
        "a int4, b int4",
        "g % 1000, g",
        "(a)",
        "update {t} set a = (a + 1) % 1000",
        "update {t} set a = (a + 1) % 1000",
        ANALYZE,
        rows=120000,
    ),
    churned(
        "i stale",
        "a text",
        "'x' || g",
        "(a)",
        ANALYZE,
        "update {t} set a = repeat(a, 20)",
        "vacuum {t}",
        rows=30000,
        withheld=Withheld.STALE_STATISTICS,
    ),
    churned("i never analyzed", "a text", "'x' || g", "(a)", rows=60000, withheld=Withheld.NEVER_ANALYZED),
    churned(
        "i range deleted",
        "a int8 not null, b text",
        "g, 'y' || g",
        "(a, b)",
        "delete from {t} where a between 5000 and 50000",
        ANALYZE,
    ),
    IndexShape(
        "i of a partition",
        (
            "create table {t} (a int4, c text) partition by range (a)",
            'create table "i partition" partition of {t} for values from (0) to (1000000)',
            "insert into {t} select g, md5(g::text) from generate_series(1, 30000) as g",
            'create index {i} on "i partition" (c)',
            'vacuum (analyze) "i partition"',
        ),
        untouched=True,
    ),
    IndexShape(
        "i of an inheritance parent",
        (
            "create table {t} (a int4, c text)",
            'create table "i heir" () inherits ({t})',
            "insert into {t} select g, 'x' || g % 100 from generate_series(1, 150000) as g",
            """insert into "i heir" select g, md5(g::text) from generate_series(1, 50000) as g""",
            "create index {i} on {t} (c)",
            ANALYZE,
        ),
        untouched=True,
    ),
)


def thinned(shape: IndexShape) -> IndexShape:
    """The same index with four rows in ten gone: an estimate that is only cut off at zero is found out here."""
    *load, analyze = shape.steps
    thinning = "delete from {t} where abs(hashtext(ctid::text)) % 10 < 4"
    return IndexShape(
        f"{shape.name}, thinned",
        (*load, thinning, analyze),
        lower_bound=shape.lower_bound,
        min_major=shape.min_major,
    )


_THINNED = (
    "i int4 of 20000 values",
    "i int4 in pairs",
    "i int4 in fives",
    "i int4 at random",
    "i int4 skewed",
    "i bool",
    "i text, 50 values, tenth NULL",
    "i mostly NULL",
    "i text of many lengths",
    "i varchar emails",
    "i numeric",
    "i name",
    "i uuid",
    "i two columns, first nullable",
    "i two columns, few of each",
    "i two columns, dependent",
    "i two columns, dependent, statistics",
    "i fillfactor 70",
    "i INCLUDE",
    "i partial, not null",
    "i expression",
    "i jsonb key",
    "i text array",
    "i date, few values",
)

INDEX_SHAPES: tuple[IndexShape, ...] = (
    *_SHAPES,
    *(thinned(shape) for shape in _SHAPES if shape.name in _THINNED),
)
