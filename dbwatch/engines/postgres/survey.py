"""Owns looking at what a role may see on a PostgreSQL server, beyond the facts that decide the plan. Advises nothing.

Catalogs only: no relation of a user is opened, and no text of anybody is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbwatch.engines.postgres.probe import Fetch
from dbwatch.errors import CheckError

_ROLE = """
-- needs no privilege
select
  pg_catalog.pg_backend_pid() as backend_pid,
  r.rolinherit as inherits,
  r.rolreplication as may_replicate,
  r.rolbypassrls as bypasses_rls,
  r.rolcreaterole as creates_roles,
  r.rolcreatedb as creates_databases,
  r.rolconnlimit as connection_limit,
  case
    when pg_catalog.isfinite(r.rolvaliduntil)
      then extract(epoch from r.rolvaliduntil - pg_catalog.now())::float8
  end as valid_seconds
from pg_catalog.pg_roles as r
where r.rolname = current_user
"""

_MEMBERSHIPS = """
-- needs no privilege; predefined roles we are a member of, whether or not their rights are ours without SET ROLE
select rolname::text as name
from pg_catalog.pg_roles
where rolname like 'pg\\_%'
  and pg_catalog.pg_has_role(current_user, oid, 'member')
"""

_DATABASES = """
-- needs no privilege; databases somebody may connect to, but not we
select datname::text as name
from pg_catalog.pg_database
where datallowconn
  and not datistemplate
  and datconnlimit <> -2
  and not pg_catalog.has_database_privilege(oid, 'connect')
order by datname
"""

_EXTENSIONS = """
-- needs no privilege; version null: installed by nobody here, offered null: its files are not on the server
select
  coalesce(a.name, e.extname)::text as name,
  e.extversion::text as version,
  a.default_version::text as offered
from pg_catalog.pg_available_extensions as a
full join pg_catalog.pg_extension as e on e.extname = a.name
"""

_TABLES = """
-- needs no privilege; a column's statistics show only to roles that may read the column
select
  count(*)::float8 as tables,
  count(*) filter (
    where not pg_catalog.has_any_column_privilege(c.oid, 'select')
      and not pg_catalog.has_table_privilege(c.oid, 'select')
  )::float8 as hidden,
  count(*) filter (
    where c.relrowsecurity
      and pg_catalog.row_security_active(c.oid)
  )::float8 as guarded
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'm')
  and c.relpages > 0
  and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
"""

_MOST = 2000


@dataclass(frozen=True, slots=True)
class Offer:
    """An extension in one database: what is installed there (None: not) and what the server has files for."""

    installed: str | None
    offered: str | None

    @property
    def behind(self) -> bool:
        return self.installed is not None and self.offered is not None and self.installed != self.offered


@dataclass(frozen=True, slots=True)
class DatabaseSurvey:
    """What our role sees of one database. `hidden_tables` have statistics that it does not see for want of a right,
    `guarded_tables` for row security.
    """

    name: str
    tables: int = 0
    hidden_tables: int = 0
    guarded_tables: int = 0
    extensions: Mapping[str, Offer] = field(default_factory=dict)
    error: CheckError | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What our role is and sees. `pooled` says that another program speaks PostgreSQL between the server and us."""

    pooled: bool
    inherits: bool
    excess: tuple[str, ...]
    connection_limit: int
    valid_seconds: float | None
    memberships: frozenset[str]
    closed_databases: tuple[str, ...]
    databases: tuple[DatabaseSurvey, ...] = ()

    def database(self, name: str) -> DatabaseSurvey | None:
        return next((one for one in self.databases if one.name == name), None)


def survey_role(fetch: Fetch, told_pid: int) -> Survey:
    """The survey without its databases. `told_pid` is the process id that the server gave at login.

    A pooler answers the login itself, with a number of its own.
    """
    role = fetch(_ROLE, limit=1)[0]
    named = {
        "may_replicate": "REPLICATION",
        "bypasses_rls": "BYPASSRLS",
        "creates_roles": "CREATEROLE",
        "creates_databases": "CREATEDB",
    }
    valid = role["valid_seconds"]
    return Survey(
        pooled=role["backend_pid"] != told_pid,
        inherits=bool(role["inherits"]),
        excess=tuple(attribute for name, attribute in named.items() if role[name]),
        connection_limit=int(str(role["connection_limit"])),
        valid_seconds=float(valid) if isinstance(valid, (int, float)) else None,
        memberships=frozenset(str(row["name"]) for row in fetch(_MEMBERSHIPS, limit=_MOST)),
        closed_databases=tuple(str(row["name"]) for row in fetch(_DATABASES, limit=_MOST)),
    )


def survey_database(fetch: Fetch, name: str) -> DatabaseSurvey:
    """What our role sees of the database that `fetch` asks."""
    tables = fetch(_TABLES, limit=1)[0]
    return DatabaseSurvey(
        name=name,
        tables=int(float(str(tables["tables"]))),
        hidden_tables=int(float(str(tables["hidden"]))),
        guarded_tables=int(float(str(tables["guarded"]))),
        extensions={
            str(row["name"]): Offer(_text(row["version"]), _text(row["offered"]))
            for row in fetch(_EXTENSIONS, limit=_MOST)
        },
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
