"""Owns the names of databases and roles by oid, asked for those that are shown. Knows no statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.statements.snapshot import Identity

_MOST_ROWS = 2_000

_SQL = """
-- needs no privilege
select
  'database' as kind,
  d.oid::int8 as oid,
  d.datname::text as name
from pg_catalog.pg_database as d
where d.oid in ({databases})
union all
select
  'role',
  r.oid::int8,
  r.rolname::text
from pg_catalog.pg_roles as r
where r.oid in ({roles})
"""


@dataclass(frozen=True, slots=True)
class Names:
    """A name that is gone is its oid."""

    databases: dict[int, str] = field(default_factory=dict)
    roles: dict[int, str] = field(default_factory=dict)

    def database(self, oid: int) -> str:
        return self.databases.get(oid, str(oid))

    def role(self, oid: int) -> str:
        return self.roles.get(oid, str(oid))

    def labels(self, identity: Identity) -> dict[str, str]:
        """The labels of a statement, everywhere the same."""
        return {
            "database": self.database(identity.dbid),
            "role": self.role(identity.userid),
            "queryid": str(identity.queryid),
        }


def read_names(context: ProbeContext, identities: Iterable[Identity], dbids: Iterable[int] = ()) -> Names:
    """The names of all databases and roles in these."""
    known = list(identities)
    databases = {0, *dbids, *(identity.dbid for identity in known)}
    roles = {0, *(identity.userid for identity in known)}
    names = Names()
    sql = _SQL.format(databases=_listed(databases), roles=_listed(roles))
    for row in context.fetch(sql, limit=_MOST_ROWS):
        into = names.databases if row["kind"] == "database" else names.roles
        into[int(str(row["oid"]))] = str(row["name"])
    return names


def _listed(oids: Iterable[int]) -> str:
    return ", ".join(str(int(oid)) for oid in sorted(oids))
