"""Owns the TOAST relations the estimator is tried on: how each is made. Sizes stay at 2-5 MB.

`{t}` is the quoted name of the table; its only long column is `v`, kept out of line and not compressed.
"""

from __future__ import annotations

from tests.postgres.bloat.table_shapes import ANALYZE, TableShape

LONG = "(select string_agg(md5((g * 1000 + j)::text), '') from generate_series(1, {n}) as j)"  # 32 bytes a step


def kept_out(name: str, length: str, rows: int, *more: str, untouched: bool = True) -> TableShape:
    """A table whose value `g` is `length` bytes long."""
    steps = f"(({length}) / 32 + 1)::int"
    return TableShape(
        name,
        (
            "create table {t} (id int4 not null, v text)",
            "alter table {t} alter column v set storage external",
            f"insert into {{t}} select g, left({LONG.format(n=steps)}, {length}) from generate_series(1, {rows}) as g",
            *more,
        ),
        untouched=untouched,
    )


_SHAPES: tuple[TableShape, ...] = (
    kept_out("x long values", "8000", 400, ANALYZE),
    kept_out("x just too long for a row", "2100", 1500, ANALYZE),
    kept_out("x of two whole chunks", "3992", 800, ANALYZE),
    kept_out("x of many lengths", "2100 + (g * 7919) % 14000", 400, ANALYZE),
    kept_out("x of one and a half chunks", "3000", 1000, ANALYZE),
    kept_out('x Größe "quoted"', "5000", 600, ANALYZE),
)

_REPACKED = ("x long values",)
"""A rewrite, which never goes back to a page, packs these worse than the load did: four whole chunks and a crumb."""
_THINNING = "delete from {t} where abs(hashtext(id::text)) % 10 < 4"

TOAST_SHAPES: tuple[TableShape, ...] = (
    *_SHAPES,
    *(
        TableShape(f"{shape.name}, thinned", (*shape.steps[:-1], _THINNING, ANALYZE), far=shape.name in _REPACKED)
        for shape in _SHAPES
    ),
    kept_out(
        "x updated twice",
        "4500",
        400,
        "update {t} set v = v || 'x'",
        "vacuum {t}",
        "update {t} set v = v || 'y'",
        "update {t} set v = v || 'z'",
        ANALYZE,
        untouched=False,
    ),
    kept_out("x a range deleted", "6000", 600, "delete from {t} where id between 50 and 550", ANALYZE, untouched=False),
    kept_out("x deleted, not vacuumed", "6000", 500, ANALYZE, "delete from {t} where id % 2 = 0", untouched=False),
)
