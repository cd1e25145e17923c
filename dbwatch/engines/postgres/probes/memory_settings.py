"""Owns working out how much memory the settings let a server take, and how much its machine has. Judges nothing.

How much data there is to cache is asked only where shared_buffers is a small part of the memory: first what this
database had at its last vacuum, and only when that is not enough to tell, the files of all databases.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.postgres.machine import Backend, UnknownMachineError, local_memory_bytes
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number, whole
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import bytes_text, number_text

_MOST_FOR_ONE_VACUUM = 2.0**30
"""Before version 17 a vacuum used no more for the rows it remembers, whatever it was given."""

_BUSY_SHARE = 0.5
_SMALL_SHARE = 0.02
_MANY_TIMES = 4.0
"""So much more data than shared_buffers makes the question of all databases needless; as in the check's level."""
_SIZING_SECONDS = 0.5
_PAGES = """
-- Needs no privilege. What the relations of this database had at their last vacuum or analyze.
select sum(c.relpages::float8) * pg_catalog.current_setting('block_size')::float8 as data_bytes
from pg_catalog.pg_class as c
where c.relkind in ('r', 'i', 't', 'm')
"""
_SIZES = """
-- Privilege: CONNECT to a database, or pg_read_all_stats; without either it does not count. Walks their files.
select sum(pg_catalog.pg_database_size(d.oid))::float8 as data_bytes
from pg_catalog.pg_database as d
where d.datconnlimit <> -2
  and (
    pg_catalog.has_database_privilege(d.oid, 'connect')
    or pg_catalog.pg_has_role('pg_read_all_stats', 'usage')
  )
"""

_SQL = """
-- Needs no privilege. All in bytes; autovacuum_work_mem is -1 when maintenance_work_mem holds for it.
select
  pg_catalog.pg_backend_pid() as pid,
  pg_catalog.inet_client_port() as client_port,
  session_user::text as session_name,
  pg_catalog.current_database()::text as database,
  pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers'))::float8 as shared_buffers,
  pg_catalog.pg_size_bytes(w.reset_val || w.unit)::float8 as work_mem,
  pg_catalog.pg_size_bytes(m.reset_val || m.unit)::float8 as maintenance_work_mem,
  case
    when a.setting <> '-1' then pg_catalog.pg_size_bytes(a.setting || a.unit)::float8
    else pg_catalog.pg_size_bytes(m.reset_val || m.unit)::float8
  end as autovacuum_work_mem,
  pg_catalog.pg_size_bytes(pg_catalog.current_setting('effective_cache_size'))::float8 as effective_cache_size,
  pg_catalog.current_setting('hash_mem_multiplier')::float8 as hash_multiplier,
  pg_catalog.current_setting('max_connections')::float8 as connections,
  pg_catalog.current_setting('autovacuum_max_workers')::float8 as workers
from pg_catalog.pg_settings as w
cross join pg_catalog.pg_settings as m
cross join pg_catalog.pg_settings as a
where w.name = 'work_mem'
  and m.name = 'maintenance_work_mem'
  and a.name = 'autovacuum_work_mem'
"""


def memory_setting(context: ProbeContext) -> Sequence[RawRow]:
    """A row for each of four settings, and one for a busy hour of all: how many bytes, and the memory there is."""
    found = context.fetch(_SQL, limit=1)[0]
    memory = context.target.machine.memory_bytes or _known(context, found)
    shared, work = number(found["shared_buffers"]) or 0.0, number(found["work_mem"]) or 0.0
    connections, workers = number(found["connections"]) or 0.0, number(found["workers"]) or 0.0
    vacuum = number(found["autovacuum_work_mem"]) or 0.0
    if context.facts.version < (17,):
        vacuum = min(vacuum, _MOST_FOR_ONE_VACUUM)
    cache = number(found["effective_cache_size"]) or 0.0
    data = _data_bytes(context, _MANY_TIMES * shared) if shared < _SMALL_SHARE * memory else None
    hashing = work * (number(found["hash_multiplier"]) or 1.0)
    busy = shared + vacuum * workers + hashing * connections * _BUSY_SHARE
    amounts = (
        ("shared_buffers", shared, 1.0, shared, _product(1.0, shared)),
        ("work_mem", work * connections, connections, work, _product(connections, work)),
        ("autovacuum_work_mem", vacuum * workers, workers, vacuum, _product(workers, vacuum)),
        ("effective_cache_size", cache, 1.0, cache, _product(1.0, cache)),
        (
            "together",
            busy,
            1.0,
            busy,
            (
                f"shared_buffers, {_product(workers, vacuum)} for autovacuum,"
                f" {_product(connections * _BUSY_SHARE, hashing)} for hashing"
            ),
        ),
    )
    return tuple(
        {
            "setting": name,
            "total_bytes": total,
            "each_bytes": each,
            "times": times,
            "sum": how,
            "memory_bytes": memory,
            "shared_bytes": shared,
            "data_bytes": data,
            "told": _told(name, total, memory, data),
            "remedy": _remedy(name, memory),
        }
        for name, total, times, each, how in amounts
    )


def _known(context: ProbeContext, found: RawRow) -> float:
    """The memory of our machine when the server runs here, else what its own watched machine tells. Raises Skipped."""
    pid = whole(found["pid"])
    backend = Backend(pid or 0, str(found["session_name"]), str(found["database"]), whole(found["client_port"]))
    try:
        return local_memory_bytes(backend)
    except UnknownMachineError as error:
        told = context.machine()
        if told is not None and told.memory_bytes is not None:
            return told.memory_bytes
        raise Skipped(Reason.PLATFORM, f"{error}; give `machine: memory:` of the target in the configuration") from None


def _data_bytes(context: ProbeContext, enough: float) -> float | None:
    """How much data there is at least; None when that takes too long, or is refused."""
    here = number(context.fetch(_PAGES, limit=1)[0]["data_bytes"])
    if here is not None and here > enough:
        return here
    rows = context.attempt(_SIZES, limit=1, seconds=min(_SIZING_SECONDS, context.remaining() / 2))
    return None if isinstance(rows, Refused) else number(rows[0]["data_bytes"])


def _product(times: float, each: float) -> str:
    return f"{number_text(times)} × {bytes_text(each)}"


def _told(name: str, total: float, memory: float, data: float | None) -> str:
    """What such an amount means, when it is out of proportion."""
    match name:
        case "shared_buffers" if total > memory / 4:
            return "which leaves little for sessions and for the cache of the file system"
        case "shared_buffers":
            return "which is little" if data is None else f"while there are at least {bytes_text(data)} of data"
        case "work_mem":
            return "more than there is beside shared_buffers when half of the connections sort at once"
        case "together":
            return "when half of the connections hash at once while every autovacuum worker is at work"
        case "autovacuum_work_mem":
            return "if every autovacuum worker uses its share"
        case _ if total > memory:
            return "more than the machine can cache, so the planner takes index scans for cheaper than they are"
        case _:
            return "less than shared_buffers alone, so the planner takes index scans for dearer than they are"


def _remedy(name: str, memory: float) -> str | None:
    """A value that suits a machine of this size, where one can be named without knowing the queries."""
    mebibytes = int(memory // 2**20)
    match name:
        case "shared_buffers":
            condition = "if this server has the machine to itself; takes effect with the next restart"
            return f"ALTER SYSTEM SET shared_buffers = '{mebibytes // 4}MB';  -- {condition}"
        case "effective_cache_size":
            return f"ALTER SYSTEM SET effective_cache_size = '{mebibytes * 3 // 4}MB'; SELECT pg_reload_conf();"
        case _:
            return None
