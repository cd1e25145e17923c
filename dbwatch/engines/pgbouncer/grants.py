"""Owns the least-privilege set-up for PgBouncer: lines of its files in place of SQL. Pure text; changes nothing."""

from __future__ import annotations

from typing import Final

_SCRIPT: Final = """\
; dbwatch on PgBouncer: a user that may look at the console and nothing else. No SQL: these are lines of its own files.

; 1. /etc/pgbouncer/userlist.txt (or whatever auth_file names): the password, best as the SCRAM secret that PostgreSQL
;    keeps for a role of that name (SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'). No role needs to exist.
"{entry}" "CHANGE-ME"

; 2. pgbouncer.ini, section [pgbouncer]: beside those who stand there already.
{line}

; 3. Make both known, as a user of admin_users:
;    psql -p 6432 -U pgbouncer pgbouncer -c RELOAD

; Several processes that share a port (so_reuseport) answer by turns. Give each a unix_socket_dir of its own, and
; dbwatch a target for each:  host: /run/pgbouncer/1"""


def stats_users(user: str) -> str:
    """The line of pgbouncer.ini that lets a user look."""
    return f"stats_users = {user or 'dbwatch'}"


def grants_script(user: str) -> str:
    """What to write where, so that `user` may look at the console."""
    return _SCRIPT.format(user=user.replace("'", "''"), entry=user.replace('"', '""'), line=stats_users(user))
