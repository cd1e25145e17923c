"""Owns how each hosting platform lets its customers grant, install and set. Pure text; knows no check.

SQL is the same everywhere but for who may run it. Settings are not: only one's own server takes ALTER SYSTEM.
Words in capitals stand for names that only the customer knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dbwatch.template import quoted_ident, quoted_literal


class Platform(StrEnum):
    """Where a server runs; the values are those of `Facts.flavour`."""

    POSTGRESQL = "postgresql"
    RDS = "rds"
    AURORA = "aurora"
    CLOUDSQL = "cloudsql"
    AZURE = "azure"
    SUPABASE = "supabase"
    NEON = "neon"
    REDIS = "redis"
    VALKEY = "valkey"
    PGBOUNCER = "pgbouncer"

    @classmethod
    def of(cls, flavour: str) -> Platform:
        """The platform of a server's flavour; one's own server when it is none we know."""
        return cls(flavour) if flavour in set(cls) else cls.POSTGRESQL

    @property
    def product(self) -> str:
        return _PRODUCTS[self]

    @property
    def administrator(self) -> str:
        """Who may run the statements."""
        return _ADMINISTRATORS.get(self, "a superuser")

    @property
    def own_databases(self) -> frozenset[str]:
        """Databases of the provider, into which no customer may."""
        return _OWN_DATABASES.get(self, frozenset())

    @property
    def preloads(self) -> frozenset[str]:
        """Libraries that are loaded whatever the customer does, so that CREATE EXTENSION is all that is left."""
        return _PRELOADS.get(self, frozenset())


_PRODUCTS: Mapping[Platform, str] = {
    Platform.POSTGRESQL: "own server",
    Platform.RDS: "Amazon RDS",
    Platform.AURORA: "Amazon Aurora",
    Platform.CLOUDSQL: "Google Cloud SQL",
    Platform.AZURE: "Azure Database for PostgreSQL",
    Platform.SUPABASE: "Supabase",
    Platform.NEON: "Neon",
    Platform.REDIS: "Redis",
    Platform.VALKEY: "Valkey",
    Platform.PGBOUNCER: "PgBouncer",
}
_ADMINISTRATORS: Mapping[Platform, str] = {
    Platform.RDS: "a member of rds_superuser (the master user)",
    Platform.AURORA: "a member of rds_superuser (the master user)",
    Platform.CLOUDSQL: "a member of cloudsqlsuperuser (the user postgres)",
    Platform.AZURE: "a member of azure_pg_admin (the server's admin user)",
    Platform.SUPABASE: "the user postgres",
    Platform.NEON: "a member of neon_superuser (a role made in the console)",
    Platform.REDIS: "a user who may run ACL",
    Platform.VALKEY: "a user who may run ACL",
    Platform.PGBOUNCER: "a user of admin_users",
}
_OWN_DATABASES: Mapping[Platform, frozenset[str]] = {
    Platform.RDS: frozenset({"rdsadmin"}),
    Platform.AURORA: frozenset({"rdsadmin"}),
    Platform.CLOUDSQL: frozenset({"cloudsqladmin"}),
    Platform.AZURE: frozenset({"azure_maintenance", "azure_sys"}),
}
_PRELOADS: Mapping[Platform, frozenset[str]] = {
    Platform.CLOUDSQL: frozenset({"pg_stat_statements"}),
    Platform.SUPABASE: frozenset({"pg_stat_statements"}),
    Platform.NEON: frozenset({"pg_stat_statements"}),
}


@dataclass(frozen=True, slots=True)
class Change:
    """How a setting is changed: SQL where that is possible, else the provider's way."""

    statements: tuple[str, ...] = ()
    instead: str | None = None


def setting_change(platform: Platform, name: str, value: str, *, restart: bool) -> Change:
    """How `name` becomes `value` for the whole server."""
    match platform:
        case Platform.POSTGRESQL:
            return Change(_alter_system(name, [value], restart=restart))
        case Platform.RDS | Platform.AURORA:
            apply = "pending-reboot" if restart else "immediate"
            scope = "cluster-" if platform is Platform.AURORA else ""
            quoted = f"'{value}'" if "," in value else value
            given = f"ParameterName={name},ParameterValue={quoted},ApplyMethod={apply}"
            return Change(
                instead=f"aws rds modify-db-{scope}parameter-group --db-{scope}parameter-group-name GROUP"
                f' --parameters "{given}"  # a parameter group of your own, not the default one'
            )
        case Platform.CLOUDSQL:
            return Change(
                instead=f"gcloud sql instances patch INSTANCE --database-flags={name}={value}"
                "  # the list replaces all flags: name those already set, too"
            )
        case Platform.AZURE:
            return Change(
                instead="az postgres flexible-server parameter set --resource-group GROUP --server-name SERVER"
                f" --name {name} --value {value}"
            )
        case _:
            return Change(instead=f"{name} = {value}: in the database settings of the {platform.product} project")


def preload_change(platform: Platform, library: str, loaded: str | None) -> Change:
    """How a library gets into shared_preload_libraries, beside those in it. `loaded` None: hidden from our role."""
    name = "shared_preload_libraries"
    if platform is not Platform.POSTGRESQL:
        if loaded is None:
            return Change(instead=f"add {library} to {name}, beside what it holds")
        return setting_change(platform, name, ",".join([*_listed(loaded), library]), restart=True)
    if loaded is None:
        # To name one library alone would throw the others out.
        return Change(instead=f"SHOW {name}; and ask the doctor again once this role may read it")
    return Change(_alter_system(name, [*_listed(loaded), library], restart=True))


def extension_change(platform: Platform, name: str) -> Change:
    """What comes before CREATE EXTENSION; nothing on most platforms."""
    if platform is not Platform.AZURE:
        return Change()
    return Change(
        instead="az postgres flexible-server parameter set --resource-group GROUP --server-name SERVER"
        f" --name azure.extensions --value {name}  # beside those already allowed"
    )


def _alter_system(name: str, values: list[str], *, restart: bool) -> tuple[str, ...]:
    """Each value of a list is a literal of its own: 'a, b' in one would be one library of that odd name."""
    given = ", ".join(quoted_literal(value) or "''" for value in values)
    named = ".".join(quoted_ident(part) or part for part in name.split("."))
    statement = f"ALTER SYSTEM SET {named} = {given};"
    return (statement,) if restart else (statement, "SELECT pg_reload_conf();")


def _listed(setting: str) -> list[str]:
    return [name for part in setting.split(",") if (name := part.strip().strip('"'))]
