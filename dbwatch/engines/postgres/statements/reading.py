"""Owns asking the server for a snapshot: the extension's own columns, never its texts. Judges nothing.

The texts live in a file that the server reads whole for the view, hundreds of MB where it is full; the function with
`showtext => false` leaves it alone. Columns go by the extension as it is installed, which ALTER EXTENSION may have left
behind the server, and may change any time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dbwatch.engines.postgres.facts import read_extensions
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number
from dbwatch.engines.postgres.statements.counters import Counters
from dbwatch.engines.postgres.statements.snapshot import Entry, Identity, Key, Snapshot
from dbwatch.errors import Skipped
from dbwatch.model import Extension, RawRow, Reason
from dbwatch.template import quoted_ident

EXTENSION = "pg_stat_statements"
MOST_ENTRIES = 20_000
_TRIES = 3
_IO = (
    *("shared_blk_read_time", "shared_blk_write_time", "local_blk_read_time", "local_blk_write_time"),
    *("blk_read_time", "blk_write_time", "temp_blk_read_time", "temp_blk_write_time"),
)
_IN_MILLISECONDS = frozenset({"exec_seconds", "plan_seconds", "io_seconds"})

# The columns go as they are: casting and ordering thousands of rows costs the server as much as reading them. What
# comes as a number of any length (wal_bytes, and what extract() makes) is worst.
_ENTRIES = """
-- Privilege: pg_read_all_stats, else the ids of other roles' statements are null. Lock: none. Reads no query text.
select
  s.userid::int8 as userid,
  s.dbid::int8 as dbid,
  s.queryid,
  {columns}
from {schema}.pg_stat_statements(false) as s
where s.queryid is not null
{order}
"""

_INSTALLED = """
-- needs no privilege
select
  e.extversion::text as version,
  n.nspname::text as schema
from pg_catalog.pg_extension as e
join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
where e.extname = 'pg_stat_statements'
"""

_CIRCUMSTANCES = """
-- Privilege: none. Lock: none.
select
  extract(epoch from pg_catalog.clock_timestamp())::float8 as server_seconds,
  extract(epoch from pg_catalog.pg_postmaster_start_time())::float8 as started_at,
  {reset_at} as reset_at,
  {deallocations} as deallocations
"""

_INFO = "(select {column} from {schema}.pg_stat_statements_info as i)"

_DATABASES = """
-- Privilege: none. Lock: none. The time is known from version 14 on.
select
  s.datid::int8 as dbid,
  (s.xact_commit + s.xact_rollback)::float8 as transactions,
  {active} as active_seconds
from pg_catalog.pg_stat_database as s
where s.datid <> 0
"""
_MOST_DATABASES = 2_000


@dataclass(frozen=True, slots=True)
class Shape:
    """How the installed extension is asked: its schema, quoted, and from which columns each counter comes.

    `block_time` begins the names of the two columns with the times of blocks of tables and indexes.
    """

    schema: str
    sources: Mapping[str, tuple[str, ...]]
    toplevel: str
    since: str
    has_info: bool
    block_time: str


def shape_of(extension: Extension) -> Shape:
    """How to ask this version of the extension."""
    schema = quoted_ident(extension.schema)
    if schema is None:
        raise Skipped(Reason.EXTENSION, f"the schema of {extension.name} has a name that cannot be written in SQL")
    has = extension.columns.__contains__
    exec_time = "total_exec_time" if has("total_exec_time") else "total_time"
    stddev = "stddev_exec_time" if has("stddev_exec_time") else "stddev_time"
    io = tuple(name for name in _IO if has(name))
    sources = {
        "calls": ("calls",),
        "exec_seconds": (exec_time,),
        "squares": (stddev,),
        "rows": ("rows",),
        "shared_hit": ("shared_blks_hit",),
        "shared_read": ("shared_blks_read",),
        "shared_written": ("shared_blks_written",),
        "temp_read": ("temp_blks_read",),
        "temp_written": ("temp_blks_written",),
        "io_seconds": io,
    }
    if has("total_plan_time"):
        sources["plan_seconds"] = ("total_plan_time",)
    if has("wal_bytes"):
        sources["wal_bytes"] = ("wal_bytes",)
    return Shape(
        schema=schema,
        sources=sources,
        toplevel="s.toplevel" if has("toplevel") else "null::bool",
        since="pg_catalog.date_part('epoch', s.stats_since)" if has("stats_since") else "null::float8",
        has_info=has("dealloc"),
        block_time="shared_blk" if has("shared_blk_read_time") else "blk",
    )


def read_shape(context: ProbeContext) -> Shape:
    """The extension as it is installed now in the database we are connected to."""
    extension = context.facts.extensions.get(EXTENSION)
    installed = {(row["version"], row["schema"]) for row in context.fetch(_INSTALLED, limit=1)}
    if extension is None or (extension.version, extension.schema) not in installed:
        # All of its columns are known of the version that the facts know, which are minutes old.
        extension = read_extensions(context.fetch).get(EXTENSION)
    if extension is None:
        raise Skipped(Reason.EXTENSION, f"needs the extension {EXTENSION} in database {context.facts.database}")
    return shape_of(extension)


def read_snapshot(context: ProbeContext, shape: Shape) -> Snapshot:
    """One reading. Raises what `fetch` raises."""
    asked = _circumstances_sql(shape)
    before = _circumstances(context, asked)
    for _ in range(_TRIES):
        rows = context.fetch(_entries_sql(context, shape), limit=MOST_ENTRIES)
        read_at = time.monotonic()
        after = _circumstances(context, asked)
        if (before.reset_at, before.deallocations) == (after.reset_at, after.deallocations):
            break
        before = after  # a reset or an eviction came in between: the entries belong to neither
    transactions, active_seconds = _databases(context)
    return replace(
        after,
        transactions=transactions,
        active_seconds=active_seconds,
        entries=_entries(shape, rows),
        read_at=read_at,
        complete=len(rows) < MOST_ENTRIES,
        sources=_comparable(shape),
    )


def _entries_sql(context: ProbeContext, shape: Shape) -> str:
    columns = [f"{_sum(sources)} as {counter}" for counter, sources in shape.sources.items()]
    columns += [f"{shape.toplevel} as toplevel", f"{shape.since} as since"]
    columns += [f"s.{shape.block_time}_{kind}_time as block_{kind}_time" for kind in ("read", "write")]
    most = context.facts.settings.get("pg_stat_statements.max", "")
    fits = most.isdigit() and int(most) < MOST_ENTRIES
    order = "" if fits else f"order by s.{shape.sources['exec_seconds'][0]} desc"
    return _ENTRIES.format(columns=",\n  ".join(columns), schema=shape.schema, order=order)


def _sum(sources: Sequence[str]) -> str:
    return " + ".join("s.wal_bytes::int8" if name == "wal_bytes" else f"s.{name}" for name in sources)


def _comparable(shape: Shape) -> dict[str, str]:
    """What each counter is made of: two readings compare only where that is the same. 1.8 renamed some columns."""
    made = {name: "+".join(sources).replace("_exec_time", "_time") for name, sources in shape.sources.items()}
    return {**made, "top_calls": shape.toplevel, "top_exec_seconds": shape.toplevel}


def _circumstances_sql(shape: Shape) -> str:
    if not shape.has_info:
        return _CIRCUMSTANCES.format(reset_at="null::float8", deallocations="null::float8")
    return _CIRCUMSTANCES.format(
        reset_at=_INFO.format(column="extract(epoch from i.stats_reset)::float8", schema=shape.schema),
        deallocations=_INFO.format(column="i.dealloc::float8", schema=shape.schema),
    )


def _circumstances(context: ProbeContext, sql: str) -> Snapshot:
    (row,) = context.fetch(sql, limit=1)
    return Snapshot(
        entries={},
        read_at=0.0,
        server_seconds=number(row["server_seconds"]) or 0.0,
        started_at=number(row["started_at"]),
        reset_at=number(row["reset_at"]),
        deallocations=number(row["deallocations"]),
    )


def _databases(context: ProbeContext) -> tuple[dict[int, float], float | None]:
    """Transactions by database, and the time all sessions spent executing."""
    active = "s.active_time / 1000" if context.facts.major >= 14 else "null::float8"
    rows = context.fetch(_DATABASES.format(active=active), limit=_MOST_DATABASES)
    times = [seconds for row in rows if (seconds := number(row["active_seconds"])) is not None]
    return {_oid(row["dbid"]): number(row["transactions"]) or 0.0 for row in rows}, sum(times) if times else None


def _entries(shape: Shape, rows: Sequence[RawRow]) -> dict[Key, Entry]:
    entries: dict[Key, Entry] = {}
    for row in rows:
        toplevel = row["toplevel"]
        identity = Identity(_oid(row["userid"]), _oid(row["dbid"]), _oid(row["queryid"]))
        key = Key(identity, toplevel if isinstance(toplevel, bool) else None)
        entry = Entry(
            _counters(shape, row, is_top=toplevel is not False),
            number(row["since"]),
            (number(row["block_read_time"]) or 0.0) / 1000,
            (number(row["block_write_time"]) or 0.0) / 1000,
        )
        twin = entries.get(key)
        # Two of a key: the extension counts by `toplevel` and is too old to say so.
        entries[key] = entry if twin is None else twin.plus(entry)
    return entries


def _counters(shape: Shape, row: RawRow, *, is_top: bool) -> Counters:
    read: dict[str, float] = {}
    for counter in shape.sources:
        total = number(row[counter]) or 0.0
        read[counter] = total / 1000 if counter in _IN_MILLISECONDS else total
    calls, deviation = read["calls"], read["squares"] / 1000
    read["squares"] = deviation * deviation * calls
    top = {"top_calls": calls, "top_exec_seconds": read["exec_seconds"]} if is_top else {}
    return Counters(**read, **top)


def _oid(value: object) -> int:
    return value if isinstance(value, int) else 0
