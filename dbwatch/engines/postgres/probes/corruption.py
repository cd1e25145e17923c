"""Owns asking amcheck about every index and table of a database, one at a time, within the time there is.

The functions raise at the first damage they meet, so each runs as an attempt of its own. What could not be looked at
(locked, dropped meanwhile, no time left) is unknown, never sound. Refuses to say how damage came about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.template import Template

_MOST_RELATIONS = 100_000
_MOST_PROBLEMS = 100
_SPARE_SECONDS = 2.0
_DAMAGE = frozenset({"XX001", "XX002", "58030", "58P01"})
"""data_corrupted, index_corrupted, io_error, undefined_file."""

_MAY_CALL = """
-- needs no privilege
select
  pg_catalog.has_schema_privilege(n.oid, 'usage') as may_use,
  pg_catalog.has_function_privilege(p.oid, 'execute') as may_call
from pg_catalog.pg_namespace as n
join pg_catalog.pg_proc as p on p.pronamespace = n.oid
where n.nspname = {schema}
  and p.proname = {function}
  and p.pronargs = {arguments}
"""

_INDEXES = """
-- Needs no privilege. Temporary ones belong to other sessions; unlogged ones are empty on a standby.
select
  c.oid::int8 as oid,
  pg_catalog.current_database() as database,
  n.nspname as schema,
  r.relname as relation,
  c.relname as index,
  c.relpages * pg_catalog.current_setting('block_size')::float8 as relation_bytes,
  case
    -- The server rebuilds the indexes of its catalogs under a lock only.
    when n.nspname = 'pg_catalog' then pg_catalog.format('REINDEX INDEX %I.%I;', n.nspname, c.relname)
    else pg_catalog.format('REINDEX INDEX CONCURRENTLY %I.%I;', n.nspname, c.relname)
  end as remedy
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_class as r on r.oid = i.indrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind = 'i'
  and c.relam = (select m.oid from pg_catalog.pg_am as m where m.amname = 'btree')
  and c.relpersistence <> 't'
  and not (c.relpersistence = 'u' and pg_catalog.pg_is_in_recovery())
  and i.indisvalid
  and i.indisready
  and i.indislive
order by
  c.relpages desc,
  c.oid
"""

_TABLES = """
-- Needs no privilege. Temporary ones belong to other sessions; unlogged ones are empty on a standby.
select
  c.oid::int8 as oid,
  pg_catalog.current_database() as database,
  n.nspname as schema,
  c.relname as relation,
  c.relpages * pg_catalog.current_setting('block_size')::float8 as relation_bytes,
  pg_catalog.format(
    'SELECT * FROM %I.verify_heapam(%L::regclass);',
    {schema},
    pg_catalog.format('%I.%I', n.nspname, c.relname)
  ) as remedy
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'm', 't')
  and c.relam = (select m.oid from pg_catalog.pg_am as m where m.amname = 'heap')
  and c.relpersistence <> 't'
  and not (c.relpersistence = 'u' and pg_catalog.pg_is_in_recovery())
order by
  c.relpages desc,
  c.oid
"""

_CHECK_INDEX = """
-- Privilege: execute on bt_index_check. Lock: access share on the index and its table.
select pg_catalog.count(*)
from {schema}.bt_index_check({oid}::pg_catalog.oid::pg_catalog.regclass)
"""

_CHECK_TABLE = """
-- Privilege: execute on verify_heapam. Lock: access share on the table.
select
  v.blkno,
  v.offnum,
  v.msg
from {schema}.verify_heapam({oid}::pg_catalog.oid::pg_catalog.regclass, on_error_stop => true) as v
"""

_SCHEMA = Template.parse("{schema:ident}")
_LITERAL = Template.parse("{text:literal}")
_USAGE = Template.parse("GRANT USAGE ON SCHEMA {schema:ident} TO {user:ident}; ")
_GRANT = Template.parse(
    "GRANT EXECUTE ON FUNCTION {schema:ident}.{function:text}({arguments:text}) TO {user:ident};"
    "  -- in database {database:ident}"
)
_INDEX_ARGUMENTS = ("regclass",)
_HEAP_ARGUMENTS = ("regclass", "boolean", "boolean", "text", "bigint", "bigint")


@dataclass(frozen=True, slots=True)
class _Seen:
    """`corrupt` is None when the relation could not be looked at."""

    corrupt: bool | None
    problem: str


def corrupt_index(context: ProbeContext) -> Sequence[RawRow]:
    """One row a B-tree index of this database, the damaged first, then the unknown, then the largest."""
    schema = _callable_in(context, "bt_index_check", _INDEX_ARGUMENTS)
    relations = context.fetch(_INDEXES, limit=_MOST_RELATIONS)
    return _sorted(_each(context, relations, _CHECK_INDEX.replace("{schema}", schema)))


def corrupt_table(context: ProbeContext) -> Sequence[RawRow]:
    """One row a table, materialized view or TOAST table of this database, in the same order."""
    schema = _callable_in(context, "verify_heapam", _HEAP_ARGUMENTS)
    named = _LITERAL.render({"text": context.facts.extensions["amcheck"].schema})
    relations = context.fetch(_TABLES.replace("{schema}", named), limit=_MOST_RELATIONS)
    return _sorted(_each(context, relations, _CHECK_TABLE.replace("{schema}", schema)))


def _callable_in(context: ProbeContext, function: str, arguments: Sequence[str]) -> str:
    """The quoted schema of a function of amcheck that we may call; Skipped with the statement that allows it."""
    extension = context.facts.extensions["amcheck"]
    sql = _MAY_CALL.replace("{schema}", _LITERAL.render({"text": extension.schema}))
    sql = sql.replace("{function}", _LITERAL.render({"text": function})).replace("{arguments}", str(len(arguments)))
    found = context.fetch(sql, limit=1)
    if not found:
        raise Skipped(
            Reason.EXTENSION, f"amcheck {extension.version} has no {function}", remedy="ALTER EXTENSION amcheck UPDATE;"
        )
    if not (found[0]["may_use"] and found[0]["may_call"]):
        names = {"schema": extension.schema, "user": context.facts.user, "database": context.facts.database}
        grant = _GRANT.render({**names, "function": function, "arguments": ", ".join(arguments)})
        usage = "" if found[0]["may_use"] else _USAGE.render(names)
        raise Skipped(Reason.PRIVILEGE, f"needs the right to execute {function}", remedy=usage + grant)
    return _SCHEMA.render({"schema": extension.schema})


def _each(context: ProbeContext, relations: Sequence[RawRow], sql: str) -> Iterator[RawRow]:
    for relation in relations:
        seconds = context.remaining() - _SPARE_SECONDS
        if seconds <= 0:
            seen = _Seen(None, "not looked at: the time limit came first")
        else:
            answer = context.attempt(sql.replace("{oid}", str(relation["oid"])), limit=_MOST_PROBLEMS, seconds=seconds)
            seen = _seen(answer)
        row = {name: value for name, value in relation.items() if name != "oid"}
        yield {**row, "corrupt": seen.corrupt, "problem": seen.problem}


def _seen(answer: Sequence[RawRow] | Refused) -> _Seen:
    if isinstance(answer, Refused):
        damaged = answer.sqlstate in _DAMAGE
        return _Seen(True, answer.message) if damaged else _Seen(None, f"not looked at: {answer.message}")
    if not answer or "msg" not in answer[0]:
        return _Seen(False, "sound")
    first, more = answer[0], len(answer) - 1
    others = f" (and {more} more on that page)" if more else ""
    return _Seen(True, f"block {first['blkno']}, item {first['offnum']}: {first['msg']}{others}")


def _sorted(rows: Iterator[RawRow]) -> Sequence[RawRow]:
    """Each relation is looked at, largest first; what matters comes first among the rows."""
    rank = {True: 0, None: 1, False: 2}
    return sorted(rows, key=lambda row: rank[bool(row["corrupt"]) if row["corrupt"] is not None else None])
