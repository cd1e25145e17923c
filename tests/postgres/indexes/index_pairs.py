"""Owns the indexes that may or may not stand in for each other: how each set is made, and which must go.

Each set has a schema of its own, with a table `t`; the steps run one by one in it. The names of indexes that must be
proposed are the whole answer: what is not named must not be.
"""

from __future__ import annotations

from dataclasses import dataclass

TABLE = (
    "create table t (id int not null, a int, b int, c int, id_type int, c1 int, c12 int, x text, y text, "
    "v tsvector, j jsonb, r int4range, l int[])"
)
INVALID = "update pg_index set indisvalid = false where indexrelid = '{}'::regclass"


@dataclass(frozen=True, slots=True)
class IndexSet:
    """`duplicate` and `redundant` are what the two checks must propose, by index name."""

    name: str
    steps: tuple[str, ...]
    duplicate: frozenset[str] = frozenset()
    redundant: frozenset[str] = frozenset()
    min_major: int = 14

    @property
    def schema(self) -> str:
        return f"pair {self.name}"


def differ(name: str, *steps: str, min_major: int = 14) -> IndexSet:
    """None of them can go."""
    return IndexSet(name, steps, min_major=min_major)


def twins(name: str, *steps: str, drop: str = "i2", min_major: int = 14) -> IndexSet:
    """They are the same, and `drop` goes."""
    return IndexSet(name, steps, duplicate=frozenset(drop.split()), min_major=min_major)


def covers(name: str, *steps: str, drop: str = "i1") -> IndexSet:
    """`drop` is covered by another one."""
    return IndexSet(name, steps, redundant=frozenset(drop.split()))


def pair(one: str, other: str, *, unique: bool = False) -> tuple[str, str]:
    """i1 and i2 on t."""
    kind = "unique index" if unique else "index"
    return f"create {kind} i1 on t {one}", f"create {kind} i2 on t {other}"


PARTITIONED = (
    "create table p (a int, b int) partition by range (a)",
    "create table p1 partition of p for values from (1) to (10)",
    "create table p2 partition of p for values from (10) to (20) partition by range (a)",
    "create table p21 partition of p2 for values from (10) to (20)",
)

INDEX_SETS: tuple[IndexSet, ...] = (
    # -- twins
    twins("plain", *pair("(a)", "(a)")),
    twins("three", *pair("(a, b)", "(a, b)"), "create index i3 on t (a, b)", drop="i2 i3"),
    twins("unique", *pair("(a)", "(a)", unique=True)),
    twins("same predicate, other words", *pair("(a) where b > 0 and c < 5", "(a) where ((b > 0) and   (c < 5))")),
    twins("same expression", *pair("(lower(x))", "(lower( x ))")),
    twins("same cast, other words", *pair("((a::bigint))", "((cast(a as bigint)))")),
    twins("same included columns", *pair("(a) include (b, c)", "(a) include (c, b)")),
    twins("hash", *pair("using hash (a)", "using hash (a)")),
    twins("gin", *pair("using gin (j)", "using gin (j)")),
    twins(
        "gist with options",
        *pair("using gist (v tsvector_ops (siglen = 50))", "using gist (v tsvector_ops (siglen = 50))"),
    ),
    twins("brin", *pair("using brin (a)", "using brin (a)")),
    twins("fillfactor", *pair("(a) with (fillfactor = 50)", "(a)")),
    twins("named opclass and collation", *pair("(x)", '(x collate "default" text_ops asc nulls last)')),
    twins("nulls not distinct", *pair("(a) nulls not distinct", "(a) nulls not distinct", unique=True), min_major=15),
    twins("constraint first", "alter table t add constraint i1 unique (a)", "create unique index i2 on t (a)"),
    twins("constraint later", "create unique index i2 on t (a)", "alter table t add constraint i1 unique (a)"),
    twins("two constraints", *(f"alter table t add constraint i{n} unique (a)" for n in (1, 2))),
    twins("primary key", "create unique index i2 on t (id)", "alter table t add constraint i1 primary key (id)"),
    twins(
        "primary key and constraint",
        *(f"alter table t add constraint {c}" for c in ("i2 unique (id)", "i1 primary key (id)")),
    ),
    twins(
        "replica identity",
        *pair("(id)", "(id)", unique=True),
        "alter table t replica identity using index i2",
        drop="i1",
    ),
    twins("clustered", *pair("(a)", "(a)"), "alter table t cluster on i2", drop="i1"),
    twins(
        "target of a foreign key",
        *pair("(id)", "(id)", unique=True),
        "create table r (id int primary key references t (id))",
        "update pg_constraint set conindid = 'i2'::regclass where conname = 'r_id_fkey'",
        "update pg_depend set refobjid = 'i2'::regclass where refobjid = 'i1'::regclass and deptype = 'n'",
        drop="i1",
    ),
    twins("exclusion", *(f"alter table t add constraint i{n} exclude using gist (r with &&)" for n in (1, 2))),
    twins("two deferrable", *(f"alter table t add constraint i{n} unique (a) deferrable" for n in (1, 2))),
    twins(
        "materialized view",
        "create materialized view m as select * from t",
        "create index i1 on m (a)",
        "create index i2 on m (a)",
    ),
    twins("unlogged", "create unlogged table u (a int)", "create index i1 on u (a)", "create index i2 on u (a)"),
    twins("names", 'create index "i ""1"" Ü" on t (a)', 'create index "İ.2\'\\" on t (a)', drop="İ.2'\\"),
    twins("partitioned", *PARTITIONED, "create index i1 on p (b)", "create index i2 on p (b)"),
    twins(
        "replica identity beside a part",
        *PARTITIONED,
        "alter table p alter a set not null, alter b set not null",
        "create unique index i1 on p (b, a)",
        "create unique index i2 on p21 (b, a)",
        "alter table p21 replica identity using index i2",
    ),
    twins("beside a part", *PARTITIONED, "create index i1 on p (b)", "create index i2 on p21 (b)"),
    # -- two indexes, whatever they look like
    differ("other tables", "create table u (a int)", "create index i1 on t (a)", "create index i2 on u (a)"),
    differ("inherited table", "create table u () inherits (t)", "create index i1 on t (a)", "create index i2 on u (a)"),
    differ("opclass", *pair("(x)", "(x text_pattern_ops)")),
    differ("opclass of the second column", *pair("(a, x)", "(a, x text_pattern_ops)")),
    differ("opclass of gin", *pair("using gin (j)", "using gin (j jsonb_path_ops)")),
    differ(
        "opclass options",
        *pair("using gist (v tsvector_ops (siglen = 50))", "using gist (v tsvector_ops (siglen = 99))"),
    ),
    differ("collation", *pair("(x)", '(x collate "C")')),
    differ("collation of the second column", *pair("(a, x)", '(a, x collate "C")')),
    differ("one direction of two", *pair("(a, b)", "(a, b desc)")),
    differ("nulls first", *pair("(a)", "(a nulls first)")),
    differ("nulls last, backwards", *pair("(a)", "(a desc nulls last)")),
    differ("nulls not distinct or distinct", *pair("(a)", "(a) nulls not distinct", unique=True), min_major=15),
    differ("other predicates", *pair("(a) where b > 0", "(a) where b > 1")),
    differ("a predicate or none", *pair("(a) where b > 0", "(a)")),
    differ("partial beside a wider one", *pair("(a) where b > 0", "(a, b)")),
    differ("beside a wider partial one", *pair("(a)", "(a, b) where b > 0")),
    differ("other expressions", *pair("(lower(x))", "(upper(x))")),
    differ("an expression that begins alike", *pair("((a + b))", "((a + b + c))")),
    differ("an expression and its column", *pair("(x)", "(lower(x))")),
    differ("expressions in other places", *pair("(lower(x), a)", "(lower(x), lower(y), a)")),
    differ("column order", *pair("(a, b)", "(b, a)")),
    differ("second column", *pair("(b)", "(a, b)")),
    differ("included or key", *pair("(a) include (c)", "(a, b)")),
    differ(
        "included columns are no keys",
        *pair("(a, b)", "(a) include (b)"),
        "drop index i2",
        "create index i2 on t (b) include (a)",
    ),
    differ("access methods", *pair("(a)", "using hash (a)"), "create index i3 on t using brin (a)"),
    differ("brin ranges", *pair("using brin (a) with (pages_per_range = 4)", "using brin (a)")),
    differ(
        "names that begin alike",
        *pair("(id)", "(id_type)"),
        "create index i3 on t (c1)",
        "create index i4 on t (c12, a)",
    ),
    differ("unique beside a wider one", "create unique index i1 on t (a)", "create index i2 on t (a, b)"),
    differ("unique beside a wider unique one", *pair("(a)", "(a, b)", unique=True)),
    differ(
        "primary key beside a wider constraint",
        "alter table t add primary key (id)",
        "alter table t add unique (id, a)",
    ),
    differ("unique with and without an included column", *pair("(a)", "(a) include (b)", unique=True)),
    differ("deferrable or not", "alter table t add unique (a)", "alter table t add unique (a) deferrable"),
    differ(
        "deferred or not", *(f"alter table t add unique (a) deferrable {how}" for how in ("", "initially deferred"))
    ),
    differ("exclusion operators", *(f"alter table t add exclude using gist (r with {op})" for op in ("&&", "="))),
    differ("invalid", *pair("(a)", "(a)"), INVALID.format("i2")),
    differ("wider and invalid", *pair("(a)", "(a, b)"), INVALID.format("i2")),
    differ("parts", *PARTITIONED, "create index i1 on p (b)"),
    differ(
        "part beside a wider one of its own", *PARTITIONED, "create index i1 on p (b)", "create index i2 on p1 (b, a)"
    ),
    # -- covered
    covers("prefix", *pair("(a)", "(a, b)")),
    covers("prefix of two", *pair("(a, b)", "(a, b, c)")),
    covers("prefix by name", *pair('(x collate "C")', '(x collate "C", a)')),
    covers("backwards", *pair("(a)", "(a desc)"), drop="i2"),
    covers("both backwards", *pair("(a, b)", "(a desc, b desc)"), drop="i2"),
    covers("prefix, backwards", *pair("(a desc, b)", "(a, b desc, c)")),
    covers("same predicate", *pair("(a) where c > 0", "(a, b) where c > 0")),
    covers("expression", *pair("(lower(x))", "(lower(x), a)")),
    covers("expressions", *pair("(lower(x), a, (b + 1))", "(lower(x), a, (b + 1), upper(y))")),
    covers("fewer included columns", *pair("(a) include (b)", "(a) include (c, b)")),
    covers("none included", *pair("(a)", "(a) include (c, b)")),
    covers("included there a key", *pair("(a) include (b)", "(a, b)")),
    covers("the twin of a unique one", "create index i1 on t (a)", "create unique index i2 on t (a)"),
    covers("the twin of a constraint", "alter table t add unique (a)", "create index i1 on t (a)"),
    covers(
        "the twin of a deferrable constraint", "alter table t add unique (a) deferrable", "create index i1 on t (a)"
    ),
    covers("the twin of a primary key", "alter table t add primary key (id)", "create index i1 on t (id)"),
    covers(
        "the twin of an exclusion",
        "alter table t add exclude using gist (r with &&)",
        "create index i1 on t using gist (r)",
    ),
    covers("prefix of a primary key", "alter table t add primary key (id, x)", "create index i1 on t (id)"),
    covers("chain", *pair("(a)", "(a, b)"), "create index i3 on t (a, b, c)", drop="i1 i2"),
    covers("tree", *pair("(a)", "(a, b)"), "create index i3 on t (a, c)"),
    covers("partitioned, prefix", *PARTITIONED, "create index i1 on p (b)", "create index i2 on p (b, a)"),
    covers("beside a wider part", *PARTITIONED, "create index i2 on p (b, a)", "create index i1 on p1 (b)"),
    IndexSet(
        "twins and a wider one",
        (*pair("(a)", "(a)"), "create index i3 on t (a, b)"),
        duplicate=frozenset({"i2"}),
        redundant=frozenset({"i1"}),
    ),
    IndexSet(
        "one and wider twins",
        (*pair("(a, b)", "(a, b)"), "create index i3 on t (a)"),
        duplicate=frozenset({"i2"}),
        redundant=frozenset({"i3"}),
    ),
)
