"""Owns learning what a PostgreSQL server is and what our role may do there. One guarded transaction, four queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from dbwatch.engines.postgres.probe import Fetch
from dbwatch.errors import CheckError
from dbwatch.model import Engine, Extension, Facts, Reason, Role

_IDENTITY = """
-- needs no privilege
select
  pg_catalog.current_setting('server_version_num')::int as version_num,
  pg_catalog.current_setting('server_version') as version_text,
  pg_catalog.pg_is_in_recovery() as in_recovery,
  pg_catalog.current_database()::text as database,
  current_user::text as user_name,
  coalesce((select rolsuper from pg_catalog.pg_roles where rolname = current_user), false) as is_superuser,
  array(
    select power
    from pg_catalog.pg_roles as r
    cross join lateral (
      values
        ('SUPERUSER', r.rolsuper),
        ('REPLICATION', r.rolreplication and not r.rolsuper),
        ('BYPASSRLS', r.rolbypassrls and not r.rolsuper),
        ('CREATEROLE', r.rolcreaterole and not r.rolsuper)
    ) as p (power, held)
    where r.rolname = current_user
      and p.held
  ) as excess,
  extract(epoch from pg_catalog.pg_postmaster_start_time())::float8 as started_at_seconds,
  pg_catalog.to_regproc('aurora_version') is null
    and pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute') as has_identifier,
  case
    when pg_catalog.to_regproc('aurora_version') is not null then 'aurora'
    when exists (select from pg_catalog.pg_roles where rolname = 'rds_superuser') then 'rds'
    when exists (select from pg_catalog.pg_roles where rolname = 'cloudsqlsuperuser') then 'cloudsql'
    when exists (select from pg_catalog.pg_roles where rolname = 'azure_pg_admin') then 'azure'
    when exists (select from pg_catalog.pg_roles where rolname = 'neon_superuser') then 'neon'
    when exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin') then 'supabase'
    else 'postgresql'
  end as flavour
"""

# A query of its own: the server looks at the right to call it before any CASE could spare the call.
_IDENTIFIER = """
-- granted to everybody by default; some providers take it away
select system_identifier::text as system_identifier
from pg_catalog.pg_control_system()
"""

_PRIVILEGES = """
-- needs no privilege
select rolname::text as name
from pg_catalog.pg_roles
where rolname like 'pg\\_%'
  and pg_catalog.pg_has_role(current_user, oid, 'usage')
"""

_DATABASES = """
-- needs no privilege; only databases we may connect to. A limit of -2 marks one whose DROP was interrupted, which takes
-- nobody, and 0 one that somebody closed to all but superusers.
select datname::text as name
from pg_catalog.pg_database
where datallowconn
  and not datistemplate
  and datconnlimit <> -2
  and (datconnlimit <> 0 or (select rolsuper from pg_catalog.pg_roles where rolname = current_user))
  and pg_catalog.has_database_privilege(oid, 'connect')
order by datname
"""

_SETTINGS = """
-- needs no privilege; settings only superusers may see are absent
select
  name::text as name,
  setting::text as setting
from pg_catalog.pg_settings
"""

_EXTENSIONS = """
-- needs no privilege; the columns are those of the extension's own views, whatever the server's version is
select
  e.extname::text as name,
  e.extversion::text as version,
  n.nspname::text as schema,
  e.extname <> 'pg_stat_statements'
    or exists (select from pg_catalog.pg_settings as s where s.name = 'pg_stat_statements.max') as loaded,
  array(
    select a.attname::text
    from pg_catalog.pg_depend as d
    join pg_catalog.pg_class as c on c.oid = d.objid and c.relkind = 'v'
    join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
      and d.refobjid = e.oid
      and d.deptype = 'e'
  ) as columns
from pg_catalog.pg_extension as e
join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
"""

MOST_DATABASES = 1000
_MOST_ROWS = 2000


def read_facts(fetch: Fetch, address: str) -> Facts:
    """The facts as of the transaction `fetch` runs in. Raises CheckError."""
    try:
        identity = fetch(_IDENTITY, limit=1)[0]
        number = int(str(identity["version_num"]))
        started, has_identifier = identity["started_at_seconds"], identity["has_identifier"]
    except (LookupError, ValueError):
        raise CheckError(Reason.BAD_RESULT, "what answers there is not PostgreSQL", step="facts") from None
    identifiers = [row["system_identifier"] for row in fetch(_IDENTIFIER, limit=1)] if has_identifier else []
    return Facts(
        engine=Engine.POSTGRES,
        version=(number // 10_000, number % 10_000),
        version_text=str(identity["version_text"]).split(" ", 1)[0],
        role=Role.STANDBY if identity["in_recovery"] else Role.PRIMARY,
        flavour=str(identity["flavour"]),
        privileges=frozenset(str(row["name"]) for row in fetch(_PRIVILEGES, limit=_MOST_ROWS)),
        extensions=read_extensions(fetch),
        settings={str(row["name"]): str(row["setting"]) for row in fetch(_SETTINGS, limit=_MOST_ROWS)},
        databases=tuple(str(row["name"]) for row in fetch(_DATABASES, limit=MOST_DATABASES)),
        database=str(identity["database"]),
        user=str(identity["user_name"]),
        is_superuser=bool(identity["is_superuser"]),
        excess=tuple(cast("list[str]", identity["excess"])),
        started_at_seconds=float(started) if isinstance(started, (int, float)) else None,
        system_identifier=next((str(identifier) for identifier in identifiers if identifier is not None), None),
        address=address,
    )


def read_extensions(fetch: Fetch) -> Mapping[str, Extension]:
    """The extensions installed in the database we are connected to."""
    return {
        str(row["name"]): Extension(
            name=str(row["name"]),
            version=str(row["version"]),
            schema=str(row["schema"]),
            columns=frozenset(cast("list[str]", row["columns"])),
            loaded=bool(row["loaded"]),
        )
        for row in fetch(_EXTENSIONS, limit=_MOST_ROWS)
    }
