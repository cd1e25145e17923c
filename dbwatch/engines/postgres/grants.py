"""Owns the least-privilege set-up script for PostgreSQL. Pure text; runs nothing."""

from __future__ import annotations

from dbwatch.template import Template

_SCRIPT = Template.parse("""\
-- dbwatch on PostgreSQL: the least-privilege monitoring role. Run as a superuser, once a cluster.
-- Set its password with \\password {user:ident} in psql, so that it stands in no history and no log.
CREATE ROLE {user:ident} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 5;
GRANT pg_monitor TO {user:ident};

-- Belt and braces: dbwatch sets these in every transaction of its own.
ALTER ROLE {user:ident} SET statement_timeout = '15s';
ALTER ROLE {user:ident} SET lock_timeout = '200ms';
ALTER ROLE {user:ident} SET idle_in_transaction_session_timeout = '20s';
ALTER ROLE {user:ident} SET default_transaction_read_only = on;

-- Optional, for bloat, nearly exhausted keys and sequences, and indexes of low selectivity:
--   PostgreSQL shows the statistics of a column (pg_stats) and the position of a sequence only to roles that may read
--   them. dbwatch never reads a user's rows, but this role then could.
-- GRANT pg_read_all_data TO {user:ident};
--   The bloat of tables, and that of their TOAST, is also told by the free space map. In every database to be watched:
-- CREATE EXTENSION IF NOT EXISTS pg_freespacemap;

-- Optional, for weak_host_rule and broken_host_rule, which judge pg_hba.conf. In every database dbwatch connects to:
-- GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO {user:ident};

-- Optional, for what statements cost: shared_preload_libraries = 'pg_stat_statements', a restart, and in one database:
-- CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
""")


def grants_script(user: str) -> str:
    """SQL that sets up `user`; prints no password."""
    return _SCRIPT.render({"user": user}).rstrip("\n")
