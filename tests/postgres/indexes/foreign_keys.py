"""Owns the foreign keys that an index supports or does not: how each is made, and whether it must be reported.

Each has a schema of its own with the tables `one (id)`, `two (x, y)` and `word (w)` to refer to.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.postgres.indexes.index_pairs import INVALID

PARENTS = (
    "create table one (id int primary key)",
    "create table two (x int, y int, primary key (x, y))",
    "create table word (w text primary key)",
)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`reported` are the constraints without an index, as relation.constraint."""

    name: str
    steps: tuple[str, ...]
    reported: frozenset[str] = frozenset()
    min_major: int = 14

    @property
    def schema(self) -> str:
        return f"key {self.name}"


ONE = "create table t (id int, a int, pid int references one)"
TWO = "create table t (id int, a int, x int, y int, constraint k foreign key (x, y) references two)"
WORD = "create table t (id int, w text references word)"


def bare(name: str, *steps: str, reported: str = "t.t_pid_fkey", min_major: int = 14) -> ForeignKey:
    return ForeignKey(name, steps, frozenset(reported.split()), min_major)


def fine(name: str, *steps: str) -> ForeignKey:
    return ForeignKey(name, steps)


FOREIGN_KEYS: tuple[ForeignKey, ...] = (
    bare("no index", ONE),
    bare("index on something else", ONE, "create index on t (a)"),
    bare("not leading", ONE, "create index on t (a, pid)"),
    bare("included", ONE, "create index on t (a) include (pid)"),
    bare("partial", ONE, "create index on t (pid) where pid > 0"),
    bare("partial on another column", ONE, "create index on t (pid) where a is not null"),
    bare("partial on more than NULL", ONE, "create index on t (pid) where pid is not null and a > 0"),
    bare("partial on NULL itself", ONE, "create index on t (pid) where pid is null"),
    bare("partial on either", ONE, "create index on t (pid) where pid is not null or a is not null"),
    bare("invalid", ONE, "create index i on t (pid)", INVALID.format("i")),
    bare("expression", ONE, "create index on t ((pid + 0))"),
    bare("brin", ONE, "create index on t using brin (pid)"),
    bare(
        "two keys of one column",
        ONE,
        "alter table t add constraint k foreign key (pid) references one",
        reported="t.t_pid_fkey t.k",
    ),
    bare(
        "not valid",
        "create table t (pid int)",
        "alter table t add constraint k foreign key (pid) references one not valid",
        reported="t.k",
    ),
    bare("cascade", "create table t (pid int references one on delete cascade)"),
    bare("itself", "create table t (id int primary key, pid int references t)"),
    bare("the first of two columns", TWO, "create index on t (x)", reported="t.k"),
    bare("two columns apart", TWO, "create index on t (x)", "create index on t (y)", reported="t.k"),
    bare("two columns and one between", TWO, "create index on t (x, a, y)", reported="t.k"),
    bare("one column and an included one", TWO, "create index on t (x) include (y)", reported="t.k"),
    bare(
        "partial on a column of another key",
        TWO,
        "create index on t (x, y) where x is not null and a is not null",
        reported="t.k",
    ),
    bare("another collation", WORD, 'create index on t (w collate "C")', reported="t.t_w_fkey"),
    bare(
        "the default collation on a column that has another",
        'create table c (w text collate "C" primary key)',
        'create table t (w text collate "C" references c)',
        'create index on t (w collate "default")',
        reported="t.t_w_fkey",
    ),
    bare(
        "names",
        'create table "p ""1"" Ü" ("i d" int primary key)',
        'create table "t1" ("p id" int, constraint "k1" foreign key ("p id") references "p ""1"" Ü")',
        reported="t1.k1",
    ),
    bare(
        "partitioned",
        "create table t (id int, pid int references one) partition by range (id)",
        "create table t1 partition of t for values from (1) to (10)",
        "create table t2 partition of t for values from (10) to (20) partition by range (id)",
        "create table t21 partition of t2 for values from (10) to (20)",
        "create index on t1 (pid)",
    ),
    bare(
        "a partition of its own mind",
        "create table t (id int, pid int) partition by range (id)",
        "create table t1 partition of t for values from (1) to (10)",
        "alter table t1 add constraint k foreign key (pid) references one",
        reported="t1.k",
    ),
    bare(
        "to a partitioned table",
        "create table p (id int primary key) partition by range (id)",
        "create table p1 partition of p for values from (1) to (10)",
        "create table p2 partition of p for values from (10) to (20)",
        "create table t (pid int references p)",
    ),
    bare(
        "from one partitioned table to another",
        "create table p (id int primary key) partition by range (id)",
        "create table p1 partition of p for values from (1) to (10)",
        "create table t (pid int references p) partition by list (pid)",
        "create table t1 partition of t for values in (1, 2)",
        "create table t2 partition of t for values in (3, 4)",
    ),
    # -- supported
    fine("index", ONE, "create index on t (pid)"),
    fine("backwards", ONE, "create index on t (pid desc nulls last)"),
    fine("leading", ONE, "create index on t (pid, a)"),
    fine("with an included column", ONE, "create index on t (pid) include (a)"),
    fine("hash", ONE, "create index on t using hash (pid)"),
    fine("unique", ONE, "create unique index on t (pid, id)"),
    fine("primary key", "create table t (pid int references one, n int, primary key (pid, n))"),
    fine("deferrable constraint", ONE, "alter table t add unique (pid) deferrable"),
    fine("exclusion over a B-tree", ONE, "alter table t add exclude using btree (pid with =)"),
    fine("partial but for NULL", ONE, "create index on t (pid) where pid is not null"),
    fine(
        "itself, with an index", "create table t (id int primary key, pid int references t)", "create index on t (pid)"
    ),
    fine("two columns", TWO, "create index on t (x, y)"),
    fine("permuted", TWO, "create index on t (y, x)"),
    fine("permuted and longer", TWO, "create index on t (y, x, a)"),
    fine("partial but for NULL in one column", TWO, "create index on t (x, y) where y is not null"),
    fine("partial but for NULL in both", TWO, "create index on t (y, x) where x is not null and y is not null"),
    fine("partial but for NULL in all", TWO, "create index on t (x, y) where x is not null or y is not null"),
    fine("match full", TWO.replace("references two", "references two match full"), "create index on t (y, x)"),
    fine("text", WORD, "create index on t (w)"),
    fine("text patterns", WORD, "create index on t (w text_pattern_ops)"),
    fine(
        "text of another collation",
        'create table c (w text collate "C" primary key)',
        'create table t (w text collate "C" references c)',
        "create index on t (w)",
    ),
    fine("text behind the key", ONE, "alter table t add w text", 'create index on t (pid, w collate "C")'),
    fine(
        "partitioned, with an index",
        "create table t (id int, pid int references one) partition by range (id)",
        "create table t1 partition of t for values from (1) to (10)",
        "create table t2 partition of t for values from (10) to (20) partition by range (id)",
        "create table t21 partition of t2 for values from (10) to (20)",
        "create index on t (pid)",
    ),
    fine(
        "partitions, each with an index",
        "create table t (id int, pid int references one) partition by range (id)",
        "create table t1 partition of t for values from (1) to (10)",
        "create table t2 (gone int, pid int, id int)",
        "alter table t2 drop gone",
        "alter table t attach partition t2 for values from (10) to (20)",
        "create index on t1 (pid)",
        "create index on t2 (pid, id)",
    ),
    fine("no foreign key", "create table t (one_id int, two_id int)"),
)
