"""Owns the tables the heap estimators are tried on: how each is made, and what may be said of it.

`{t}` is the table's quoted name. Statements run one by one in autocommit; autovacuum is off. Sizes stay at 1-5 MB.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbwatch.engines.postgres.bloat import Withheld

ANALYZE = "vacuum (analyze) {t}"


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table. `withheld` is the reason the statistics model must give; None where it must answer."""

    name: str
    steps: tuple[str, ...]
    withheld: Withheld | None = None
    untouched: bool = False
    """Only ever loaded: nothing here may look like bloat."""
    min_major: int = 13
    kind: str = "table"
    estimable: bool = True
    """Whether the free-space methods can answer."""
    far: bool = False
    """Known to be hard where no statistics can be seen: counts for the mean error, is let off the worst one there."""

    @property
    def ident(self) -> str:
        return '"' + self.name.replace('"', '""') + '"'

    def statements(self) -> list[str]:
        return [step.replace("{t}", self.ident) for step in self.steps]


def fresh(name: str, columns: str, select: str, rows: int, *more: str, options: str = "", **kind: object) -> TableShape:
    """A table loaded once and analyzed."""
    return TableShape(
        name,
        (
            f"create table {{t}} ({columns}) {options}",
            f"insert into {{t}} select {select} from generate_series(1, {rows}) as g",
            *more,
            ANALYZE,
        ),
        untouched=not more,
        **kind,  # type: ignore[arg-type]
    )


WIDE = "(select string_agg(md5((g * 100 + j)::text), '') from generate_series(1, {n}) as j)"

_SHAPES: tuple[TableShape, ...] = (
    fresh("t two bigints", "a int8 not null, b int8 not null", "g, g", 40000),
    fresh("t int4 int8 int4", "a int4, b int8, c int4", "g, g, g", 40000),
    fresh(
        "t small columns",
        "a bool, b bool, c int2, d int4, e bool, f int4, g bool, h int8",
        "true, g % 2 = 0, g % 100, g, false, g, true, g",
        40000,
    ),
    TableShape(
        "t nine columns, one dropped",
        (
            "create table {t} (a int4, b int4, c int4, d int4, e int4, f int4, g int4, h int4, i int4)",
            "alter table {t} drop column d",
            "insert into {t} select g, g, g, g, g, g, g, g from generate_series(1, 40000) as g",
            ANALYZE,
        ),
        untouched=True,
    ),
    TableShape(
        "t rows of 2100 bytes",
        (
            "create table {t} (id int4 not null, v text)",
            "alter table {t} alter column v set storage plain",
            "insert into {t} select g, repeat(chr(65 + g % 26), 2072) from generate_series(1, 1500) as g",
            ANALYZE,
        ),
        untouched=True,
    ),
    fresh(
        "t wide variable rows",
        "id int4 not null, v text",
        f"g, substr({WIDE.format(n=50)}, 1, 300 + (g * 7919) % 1200)",
        5000,
    ),
    fresh(
        "t fillfactor 70",
        "a int4 not null, b int8, c text",
        "g, g, md5(g::text)",
        25000,
        options="with (fillfactor = 70)",
    ),
    fresh(
        "t half NULL, independent",
        ", ".join(f"c{i} int4" for i in range(12)),
        ", ".join("case when random() < 0.5 then g end" for _ in range(12)),
        25000,
    ),
    fresh(
        "t half NULL, correlated",
        ", ".join(f"c{i} int4" for i in range(12)),
        ", ".join("case when g % 2 = 0 then g end" for _ in range(12)),
        25000,
    ),
    fresh("t many columns, one value", "id int4, " + ", ".join(f"c{i} text" for i in range(40)), "g", 25000),
    fresh(
        "t half the values toasted",
        "id int4, v text",
        f"g, case when g % 2 = 0 then {WIDE.format(n=150)} else md5(g::text) end",
        20000,
    ),
    fresh("t compressed in line", "id int4, v text", "g, repeat(md5(g::text), 90)", 12000),
    fresh(
        "t uuid and timestamps",
        "id uuid not null, a timestamptz not null, b timestamptz",
        "md5(g::text)::uuid, now(), now()",
        30000,
    ),
    fresh("t numeric", "id numeric, v numeric(20, 4), w numeric", "g, g * 1.2345, (g::numeric ^ 3)", 30000),
    fresh("t short varchars", "a varchar(20), b varchar(20), c int4", "'x' || g % 7, 'value ' || g, g", 30000),
    fresh(
        "t jsonb",
        "id int8, doc jsonb",
        "g, jsonb_build_object('id', g, 'name', md5(g::text), 'tags', array[g % 7, g % 11])",
        15000,
    ),
    fresh("t text arrays", "id int8, tags text[]", "g, array['a' || g % 9, 'b' || g % 99]", 20000),
    fresh("t bytea", "id int4, v bytea", "g, decode(repeat(md5(g::text), 1 + g % 4), 'hex')", 20000),
    fresh("t name and char", 'a name, b "char", c bpchar(9), d int2', "'n' || g, 'x', 'abc', 1", 15000),
    fresh(
        "t bit and inet",
        "a inet, b varbit, c macaddr",
        "('10.0.0.' || g % 250)::inet, b'10101', '08:00:2b:01:02:03'",
        20000,
    ),
    fresh(
        "t mixed widths",
        "id int8, a text, b int4, c text, d int8",
        "g, repeat('x', g % 60), g, repeat('y', (g * 31) % 200), g",
        15000,
    ),
    fresh(
        "t delete half, vacuum, analyze",
        "a int4, b int8, c text",
        "g, g, md5(g::text)",
        40000,
        "delete from {t} where a % 2 = 0",
    ),
    fresh(
        "t delete a third, vacuum, analyze",
        "a int8 not null, b int8 not null",
        "g, g",
        60000,
        "delete from {t} where a % 3 = 0",
    ),
    TableShape(
        "t delete a tenth, no vacuum",
        (
            "create table {t} (a int4, b int8, c text)",
            "insert into {t} select g, g, md5(g::text) from generate_series(1, 40000) as g",
            ANALYZE,
            "delete from {t} where a % 10 = 0",
        ),
    ),
    TableShape(
        "t delete half, no vacuum",
        (
            "create table {t} (a int4, b int8, c text)",
            "insert into {t} select g, g, md5(g::text) from generate_series(1, 40000) as g",
            ANALYZE,
            "delete from {t} where a % 2 = 0",
        ),
        withheld=Withheld.STALE_STATISTICS,
    ),
    TableShape(
        "t delete half, vacuum, no analyze",
        (
            "create table {t} (a int4, b int8, c text)",
            "insert into {t} select g, g, md5(g::text) from generate_series(1, 40000) as g",
            ANALYZE,
            "delete from {t} where a % 2 = 0",
            "vacuum {t}",
        ),
        withheld=Withheld.STALE_STATISTICS,
    ),
    TableShape(
        "t fixed width, delete half, no vacuum",
        (
            "create table {t} (a int4 not null, b int8 not null)",
            "insert into {t} select g, g from generate_series(1, 40000) as g",
            ANALYZE,
            "delete from {t} where a % 2 = 0",
        ),
    ),
    TableShape(
        "t widened, vacuum, no analyze",
        (
            "create table {t} (a int4, c text)",
            "insert into {t} select g, 'x' from generate_series(1, 30000) as g",
            ANALYZE,
            "update {t} set c = repeat(md5(a::text), 6)",
            "vacuum {t}",
        ),
        withheld=Withheld.STALE_STATISTICS,
    ),
    TableShape(
        "t mixed churn",
        (
            "create table {t} (a int4, b int8, c text)",
            "insert into {t} select g, g, repeat('x', g % 100) from generate_series(1, 30000) as g",
            "delete from {t} where a % 4 = 0",
            "vacuum {t}",
            "insert into {t} select g, g, repeat('y', g % 80) from generate_series(1, 3000) as g",
            "update {t} set b = b + 1, c = c || 'zz' where a % 7 = 1",
            ANALYZE,
        ),
    ),
    TableShape(
        "t range of nine tenths deleted",
        (
            "create table {t} (a int4, b int8, c text)",
            "insert into {t} select g, g, md5(g::text) from generate_series(1, 60000) as g",
            "delete from {t} where a between 5000 and 59000",
            ANALYZE,
        ),
    ),
    TableShape(
        "t two full updates",
        (
            "create table {t} (a int4 not null, b int8 not null)",
            "insert into {t} select g, g from generate_series(1, 30000) as g",
            "update {t} set b = b + 1",
            "update {t} set b = b + 1",
            ANALYZE,
        ),
    ),
    TableShape(
        "t rolled back load",
        (
            "create table {t} (a int4, c text)",
            "insert into {t} select g, md5(g::text) from generate_series(1, 20000) as g",
            ANALYZE,
            "begin; insert into {t} select g, md5(g::text) from generate_series(1, 20000) as g; rollback",
        ),
    ),
    TableShape(
        "t all deleted, last row kept",
        (
            "create table {t} (a int4, c text)",
            "insert into {t} select g, md5(g::text) from generate_series(1, 30000) as g",
            "delete from {t} where a < 30000",
            ANALYZE,
        ),
    ),
    TableShape(
        "t emptied, not vacuumed",
        (
            "create table {t} (a int4, c text)",
            "insert into {t} select g, md5(g::text) from generate_series(1, 30000) as g",
            ANALYZE,
            "delete from {t}",
        ),
    ),
    TableShape(
        "t never analyzed",
        (
            "create table {t} (a int4, c text)",
            "insert into {t} select g, md5(g::text) from generate_series(1, 30000) as g",
        ),
        withheld=Withheld.NEVER_ANALYZED,
        untouched=True,
        estimable=False,
    ),
    TableShape(
        "t vacuumed, never analyzed",
        (
            "create table {t} (a int4, c text)",
            "insert into {t} select g, md5(g::text) from generate_series(1, 30000) as g",
            "delete from {t} where a % 3 = 0",
            "vacuum {t}",
        ),
        withheld=Withheld.NO_STATISTICS,
    ),
    TableShape(
        "t column added, not analyzed",
        (
            "create table {t} (a int4, c text)",
            "insert into {t} select g, md5(g::text) from generate_series(1, 30000) as g",
            ANALYZE,
            "alter table {t} add column d int4",
        ),
        withheld=Withheld.NO_STATISTICS,
        untouched=True,
    ),
    fresh(
        't Größe "quoted" ☃',
        '"Spalte ä" int4 not null, "b""c" text',
        "g, md5(g::text)",
        20000,
        'delete from {t} where "Spalte ä" % 4 = 0',
    ),
    TableShape(
        "t partitioned",
        (
            "create table {t} (a int4, c text) partition by range (a)",
            'create table "t partition child" partition of {t} for values from (0) to (1000000)',
            "insert into {t} select g, md5(g::text) from generate_series(1, 30000) as g",
            "delete from {t} where a % 5 = 0",
            'vacuum (analyze) "t partition child"',
            "analyze {t}",
        ),
        kind="partitioned",
    ),
    TableShape(
        "t inheritance parent",
        (
            "create table {t} (a int4, c text)",
            'create table "t inheritance child" (d int8) inherits ({t})',
            "insert into {t} select g, md5(g::text) from generate_series(1, 20000) as g",
            """insert into "t inheritance child" select g, repeat('x', 200), g from generate_series(1, 20000) as g""",
            'vacuum (analyze) "t inheritance child"',
            ANALYZE,
        ),
        untouched=True,
    ),
    TableShape(
        "t generated column",
        (
            "create table {t} (a int4 not null, v int4 generated always as (a * 2) virtual, b int8 not null)",
            "insert into {t} (a, b) select g, g from generate_series(1, 40000) as g",
            ANALYZE,
        ),
        untouched=True,
        min_major=18,
    ),
    TableShape(
        "t materialized view",
        (
            "create materialized view {t} as select g as a, md5(g::text) as c from generate_series(1, 20000) as g",
            ANALYZE,
        ),
        untouched=True,
    ),
    TableShape(
        "t column dropped after the load",
        (
            "create table {t} (a int4 not null, b text, c int8 not null)",
            "insert into {t} select g, md5(g::text), g from generate_series(1, 30000) as g",
            "alter table {t} drop column b",
            ANALYZE,
        ),
    ),
    TableShape(
        "t column with a default added after the load",
        (
            "create table {t} (a int4 not null, b text)",
            "insert into {t} select g, md5(g::text) from generate_series(1, 30000) as g",
            "alter table {t} add column c int4 not null default 7",
            ANALYZE,
        ),
        untouched=True,
        far=True,
    ),
    fresh("t domain and enum", "a a_domain not null, b a_mood, c a_mood not null, d int8", "g, 'sad', 'ok', g", 30000),
    fresh("t ranges", "a int4range, c int4", "int4range(g, g + 9), g", 20000),
    fresh(
        "t interval and point",
        "a interval, b point, c time, d int2",
        "g * interval '1 h', point(g, g), '12:00', 1",
        25000,
    ),
    TableShape("t tiny", ("create table {t} (a int4)", "insert into {t} values (1)", ANALYZE), kind="unlisted"),
    TableShape(
        "t unlogged",
        (
            "create unlogged table {t} (a int4, c text)",
            "insert into {t} select g, md5(g::text) from generate_series(1, 20000) as g",
            ANALYZE,
        ),
        untouched=True,
    ),
)


def thinned(shape: TableShape) -> TableShape:
    """The same load with four rows in ten gone: an estimate that is only cut off at zero is found out here."""
    *load, analyze = shape.steps
    thinning = "delete from {t} where abs(hashtext(ctid::text)) % 10 < 4"
    return TableShape(f"{shape.name}, thinned", (*load, thinning, analyze), min_major=shape.min_major, far=shape.far)


TABLE_SHAPES: tuple[TableShape, ...] = (
    *_SHAPES,
    *(
        thinned(shape)
        for shape in _SHAPES
        if shape.untouched
        and shape.withheld is None
        and shape.kind == "table"
        and "view" not in shape.name
        and "inheritance" not in shape.name
    ),
)
