"""Owns reading how the server lets clients in: the rules of pg_hba.conf, the form of stored passwords. Judges nothing.

Both are for superusers, or for whom they were granted to; without that the probes say what is missing. A stored
password itself is never fetched, and of a rule's options only whether it wants a certificate.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.host_rules import HostRule, broken, weak
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number, text
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.template import quoted_ident

_MOST_RULES = 2_000

_MAY_READ_RULES = """
-- needs no privilege
select pg_catalog.has_function_privilege('pg_catalog.pg_hba_file_rules()', 'execute') as allowed
"""
_RULES = """
-- Privilege: EXECUTE on pg_hba_file_rules(). Reads the file as it is on the disk, with what it includes (from 16 on).
select
  r.line_number,
  r.type,
  r.database,
  r.user_name,
  r.address,
  r.netmask,
  r.auth_method,
  exists (
    select
    from pg_catalog.unnest(r.options) as o(entry)
    where o.entry like 'clientcert=verify%'
  ) as wants_certificate,
  r.error,
  {file} as file
from pg_catalog.pg_hba_file_rules() as r
order by
  {place}
"""
_INCLUDES = {
    True: {
        "file": "pg_catalog.regexp_replace(r.file_name, '^.*/', '')",
        "place": "r.rule_number nulls last, r.line_number",
    },
    False: {"file": "'pg_hba.conf'", "place": "r.line_number"},
}
"""By whether the file may include others, as from version 16 on."""

_MAY_READ_PASSWORDS = """
-- needs no privilege
select pg_catalog.has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'select') as allowed
"""
_MD5_PASSWORDS = """
-- Privilege: SELECT on pg_authid. The password stays where it is; only its form is looked at.
select
  a.rolname::text as role,
  1 as md5
from pg_catalog.pg_authid as a
where a.rolcanlogin
  and a.rolpassword ~ '^md5[0-9a-f]{32}$'
order by
  a.rolname
"""


def weak_host_rule(context: ProbeContext) -> Sequence[RawRow]:
    """A row for every kind of rule by which other hosts come in without proof, or with a password anybody can read."""
    return tuple(
        {
            "database": found.database,
            "role": found.role,
            "method": found.method,
            "rules": found.rules,
            "file": found.file,
            "line": found.line,
            "addresses": found.addresses,
            "consequence": found.consequence,
            "remedy": found.remedy,
        }
        for found in weak(_rules(context))
    )


def broken_host_rule(context: ProbeContext) -> Sequence[RawRow]:
    """One row: how many lines the server cannot read, and the first of them."""
    errors = broken(_rules(context))
    first = errors[0] if errors else None
    return (
        {
            "broken_rules": len(errors),
            "file": first.file if first is not None else None,
            "line": first.line if first is not None else None,
            "error": first.error if first is not None else None,
        },
    )


def md5_password(context: ProbeContext) -> Sequence[RawRow]:
    """A row for every login role whose password is stored as md5."""
    if not context.fetch(_MAY_READ_PASSWORDS, limit=1)[0]["allowed"]:
        raise Skipped(
            Reason.PRIVILEGE,
            "only a superuser sees how passwords are stored",
            remedy="dbwatch check --check md5_password with a superuser's URL, once in a while",
        )
    return context.fetch(_MD5_PASSWORDS, limit=context.check.limit)


def _rules(context: ProbeContext) -> Sequence[HostRule]:
    """The lines of pg_hba.conf in their order. Raises Skipped, with the grant that is missing."""
    if not context.fetch(_MAY_READ_RULES, limit=1)[0]["allowed"]:
        grant = f"GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO {quoted_ident(context.facts.user)};"
        raise Skipped(
            Reason.PRIVILEGE,
            f"{context.facts.user} may not read the rules of pg_hba.conf",
            remedy=(
                f"{grant}  -- as superuser, in database {quoted_ident(context.facts.database)};"
                " it shows ldapbindpasswd too, if there is one"
            ),
        )
    query = _RULES.format(**_INCLUDES[context.facts.version >= (16,)])
    return tuple(_rule(row) for row in context.fetch(query, limit=_MOST_RULES))


def _rule(row: RawRow) -> HostRule:
    return HostRule(
        line=int(number(row["line_number"]) or 0),
        kind=text(row["type"]) or "",
        databases=_names(row["database"]),
        roles=_names(row["user_name"]),
        address=text(row["address"]),
        netmask=text(row["netmask"]),
        method=text(row["auth_method"]) or "",
        wants_certificate=bool(row["wants_certificate"]),
        error=text(row["error"]),
        file=text(row["file"]) or "pg_hba.conf",
    )


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(name) for name in value) if isinstance(value, list) else ()
