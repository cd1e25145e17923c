"""Owns how far sequences are used up, against their own limit and the columns that their values get into.

A sequence of bigint that feeds an int4 column, or a key that an int4 foreign key refers to, ends where the int4 ends.
Judges nothing. Opening a sequence takes a lock that is held to the end of the transaction, so only so many are opened
in one run: those of a narrow type and the busiest first, in turns where there are more.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dbwatch.engines.postgres.history import History
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

MOST_OPENED = 500
"""Sequences opened in one run: 40 µs each the first time, and a lock of some 6400 that a server has by default."""
_DAY = 86_400.0
_OVER = _DAY
"""A speed is told when a sequence has been watched for a day: nightly work is in it then."""
_WORTH_TELLING = 0.5
_MOST_REMEMBERED = 5_000
_MOST_IN_ROUND = 100_000
"""A round over more begins anew: what is known by number alone takes memory, too."""

_SQL = r"""
-- Privilege: SELECT or USAGE on a sequence (pg_read_all_data) shows its position; without it the row says so.
-- Lock: RowExclusiveLock on each sequence opened, as nextval() takes it; those that it would wait for are left out.
with locked as materialized (
  select
    l.relation
  from pg_catalog.pg_locks as l
  where l.locktype = 'relation'
    and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
),
chosen as materialized (
  select
    s.*,
    c.relname,
    c.relnamespace
  from pg_catalog.pg_sequence as s
  join pg_catalog.pg_class as c on c.oid = s.seqrelid
  where c.relpersistence <> 't'
    -- Joined, since before version 15 `<> all` goes through the whole array for each sequence.
    and not exists (
      select
      from pg_catalog.unnest('{{{leave_out}}}'::pg_catalog.oid[]) as seen (oid)
      where seen.oid = s.seqrelid
    )
    and not exists (select from locked as l where l.relation = s.seqrelid)
  order by
    s.seqmax - case when s.seqmin > 0 then s.seqmin else 0 end < 4294967296 desc,
    pg_catalog.pg_stat_get_blocks_fetched(s.seqrelid) desc,
    s.seqrelid
  limit {most}
),
fed as materialized (
  select
    s.seqrelid,
    d.refobjid as relation,
    d.refobjsubid::pg_catalog.int2 as position
  from chosen as s
  join pg_catalog.pg_depend as d
    on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.objid = s.seqrelid
    and d.objsubid = 0
  where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.deptype in ('a', 'i')
    and d.refobjsubid > 0
  union all
  select
    s.seqrelid,
    f.adrelid,
    f.adnum
  from chosen as s
  join pg_catalog.pg_depend as d
    on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.refobjid = s.seqrelid
    and d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
  join pg_catalog.pg_attrdef as f on f.oid = d.objid
  -- A default that is nextval() and nothing else, but for the cast to int4 or int2: another formula may turn it round.
  where f.adbin::pg_catalog.text
    ~ '^(\{{COERCETODOMAIN :arg )?\{{FUNCEXPR :funcid (1574|(480|714) [^{{]*\{{FUNCEXPR :funcid 1574) '
),
reached as materialized (
  select
    f.seqrelid,
    f.relation,
    f.position,
    false as refers
  from fed as f
  union all
  select
    j.seqrelid,
    j.conrelid,
    j.position,
    true
  from (
    -- A full join can only be hashed or merged; the planner takes `fed` for two rows and would loop over it.
    select
      f.seqrelid,
      k.conrelid,
      k.position
    from fed as f
    full join (
      select
        k.conrelid,
        k.confrelid,
        p.position,
        p.referenced
      from pg_catalog.pg_constraint as k
      cross join lateral rows from (
        pg_catalog.unnest(k.conkey),
        pg_catalog.unnest(k.confkey)
      ) as p (position, referenced)
      where k.contype = 'f'
    ) as k
      on k.confrelid = f.relation
      and k.referenced = f.position
    offset 0
  ) as j
  where j.seqrelid is not null
    and j.conrelid is not null
),
narrow as materialized (
  select distinct on (r.seqrelid)
    r.seqrelid,
    pg_catalog.format('%I.%I.%I', n.nspname, c.relname, a.attname) as place,
    pg_catalog.format_type(a.atttypid, null) as type,
    r.refers,
    case
      when 21 in (t.oid, t.typbasetype) then 32767
      else 2147483647
    end as most
  from reached as r
  join pg_catalog.pg_attribute as a
    on a.attrelid = r.relation
    and a.attnum = r.position
  join pg_catalog.pg_type as t
    on t.oid = a.atttypid
    and (t.oid in (21, 23) or t.typbasetype in (21, 23))
  join pg_catalog.pg_class as c on c.oid = r.relation
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  order by
    r.seqrelid,
    5,
    r.refers,
    c.relispartition,
    2
),
bounded as materialized (
  select
    s.*,
    n.place,
    n.type,
    n.refers,
    s.seqincrement > 0 as rises,
    coalesce(
      case
        when s.seqincrement > 0 then n.most <= s.seqmax
        else -n.most - 1 >= s.seqmin
      end,
      false
    ) as by_column,
    s.seqcycle
      and coalesce(
        case
          when s.seqincrement > 0 then s.seqmax <= n.most
          else s.seqmin >= -n.most - 1
        end,
        true
      ) as starts_over,
    case
      when s.seqincrement > 0 then least(s.seqmax, n.most)
      else greatest(s.seqmin, -n.most - 1)
    end as last_possible,
    case
      when s.seqincrement > 0 then s.seqmin
      else s.seqmax
    end as first_possible,
    pg_catalog.has_sequence_privilege(s.seqrelid, 'select, usage') as readable,
    case
      when pg_catalog.has_sequence_privilege(s.seqrelid, 'select, usage')
        then pg_catalog.pg_sequence_last_value(s.seqrelid::pg_catalog.regclass)
    end as last_value
  from chosen as s
  left join narrow as n on n.seqrelid = s.seqrelid
)
select
  b.seqrelid::pg_catalog.int8 as oid,
  n.nspname::pg_catalog.text as schema,
  b.relname::pg_catalog.text as sequence,
  b.readable,
  b.starts_over,
  b.last_possible::pg_catalog.float8 as limit_value,
  b.last_value::pg_catalog.float8 as position,
  -- In numeric, since a range of bigint overflows it.
  case
    when b.last_value is not null
      then least(
        1,
        (pg_catalog.abs(b.last_value::pg_catalog.numeric - b.first_possible) + 1)
          / (pg_catalog.abs(b.last_possible::pg_catalog.numeric - b.first_possible) + 1)
      )
  end::pg_catalog.float8 as used_ratio,
  case
    when b.last_value is not null
      then greatest(0, pg_catalog.trunc((b.last_possible::pg_catalog.numeric - b.last_value) / b.seqincrement))
  end::pg_catalog.float8 as calls_left,
  case
    when not b.by_column then 'its own limit'
    when b.refers then pg_catalog.format('%s %s, which refers to its key', b.type, b.place)
    else pg_catalog.format('%s %s', b.type, b.place)
  end as bound,
  case
    when b.by_column
      then pg_catalog.format(
        '-- Plan to make %s a bigint: a plain ALTER TABLE rewrites it and keeps everybody out meanwhile.',
        b.place
      )
    else pg_catalog.format(
      '-- If no narrower column takes its values: ALTER SEQUENCE %I.%I AS bigint %s;',
      n.nspname,
      b.relname,
      case when b.rises then 'NO MAXVALUE' else 'NO MINVALUE' end
    )
  end as remedy
from bounded as b
join pg_catalog.pg_namespace as n on n.oid = b.relnamespace
"""


@dataclass(slots=True)
class _Round:
    """Going through the sequences of one database in turns: the fullest of the last whole round, and of this one.

    `seen` are those of this round that need no other look in it.
    """

    whole: dict[int, RawRow] = field(default_factory=dict)
    present: dict[int, RawRow] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    is_readable: bool = False
    was_readable: bool = False

    def add(self, rows: Sequence[RawRow], most: int) -> None:
        """One look. It ends the round when it met fewer than it may."""
        self.is_readable = self.is_readable or any(bool(row["readable"]) for row in rows)
        self.seen.update(_oid(row) for row in rows if _number(row["used_ratio"]) < _WORTH_TELLING)
        for row in rows:
            self.whole.pop(_oid(row), None)
        self.present.update({_oid(row): row for row in rows})
        self.present = _fullest(self.present, most)
        if len(rows) < MOST_OPENED or len(self.seen) > _MOST_IN_ROUND:
            self.whole, self.present, self.seen = self.present, {}, set()
            self.was_readable, self.is_readable = self.is_readable, False


def _fullest(rows: Mapping[int, RawRow], most: int) -> dict[int, RawRow]:
    """Those worth telling, as many as are told; without those never used, or starting over by themselves."""
    told = [
        row for row in rows.values() if not row["starts_over"] and not (row["readable"] and row["position"] is None)
    ]
    told.sort(key=lambda row: (-_number(row["used_ratio"]), str(row["schema"]), str(row["sequence"])))
    return {_oid(row): row for row in told[:most]}


class SequenceMemory:
    """What one target's sequences were like, per database."""

    def __init__(self) -> None:
        self.rounds: dict[str, _Round] = {}
        self.history: History[tuple[str, int]] = History(
            span_seconds=7 * _DAY, step_seconds=_DAY / 4, most=_MOST_REMEMBERED
        )


def sequence_exhausted(context: ProbeContext) -> Sequence[RawRow]:
    """One row a sequence, the most used first; those never used, or starting over by themselves, are left out."""
    database = context.facts.database
    memory = context.memory.of(SequenceMemory)
    there = {*context.facts.databases, database}
    memory.rounds = {name: turn for name, turn in memory.rounds.items() if name in there}
    turn = memory.rounds.setdefault(database, _Round())
    found = context.fetch(_sql(turn.seen), limit=MOST_OPENED)
    turn.add(found, context.check.limit)
    if found and not (turn.is_readable or turn.was_readable):
        raise Skipped(
            Reason.PRIVILEGE, "the positions of the sequences are hidden from this role; it needs pg_read_all_data"
        )
    known = _fullest({**turn.whole, **turn.present}, context.check.limit)
    return [_row(database, row, _left_seconds(memory, database, row)) for row in known.values()]


def _sql(leave_out: Iterable[int]) -> str:
    return _SQL.format(leave_out=",".join(str(oid) for oid in leave_out), most=MOST_OPENED)


def _left_seconds(memory: SequenceMemory, database: str, row: RawRow) -> float | None:
    """Until the last value is given out, at the speed of the last days; None where that is not known or none."""
    if row["calls_left"] is None or _number(row["used_ratio"]) < _WORTH_TELLING / 5:
        return None
    name, now = (database, _oid(row)), time.monotonic()
    left = _number(row["calls_left"])
    memory.history.add(name, -left, now)
    speed = memory.history.speed(name, -left, now, _OVER)
    return left / speed if speed is not None and speed > 0 else None


def _row(database: str, row: RawRow, left_seconds: float | None) -> RawRow:
    told = ("schema", "sequence", "limit_value", "used_ratio", "calls_left", "position", "bound", "remedy")
    return {"database": database, **{name: row[name] for name in told}, "left_seconds": left_seconds}


def _oid(row: RawRow) -> int:
    return int(_number(row["oid"]))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
