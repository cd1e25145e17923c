"""A real PgBouncer in front of a `Postgres`, started, reconfigured, ended."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import psycopg

from tests.harness import ports
from tests.harness.binaries import PgBouncerKind, program
from tests.harness.lifetime import Lifetime
from tests.harness.postgres import Postgres
from tests.harness.process import ServerProcess, remove_dir, server_dir, server_user
from tests.harness.sessions import Row, Sessions

PoolMode = Literal["session", "transaction", "statement"]


class PgBouncer(Sessions, Lifetime):
    """One PgBouncer. Every login role that `pg` has at `start` or `reload` is known and passed on by its name.

    All are trusted; with another `auth_type` those of `passwords` have one.

    `url(dbname="pgbouncer")` is its console: `postgres` is its admin, `dbwatch` may read the statistics.
    `settings` are those of the [pgbouncer] section; `databases` replaces the one entry `*`.
    """

    def __init__(
        self,
        pg: Postgres,
        pool_mode: PoolMode = "transaction",
        *,
        databases: str | None = None,
        kind: PgBouncerKind = "pgbouncer",
        passwords: Mapping[str, str] | None = None,
        open_files: int | None = None,
        **settings: str | int,
    ) -> None:
        self.pg = pg
        self._program = program(kind)
        self._open_files = open_files
        # From 1.23 on SIGTERM waits for all clients to leave; before, SIGQUIT is not for this.
        self._at_once = signal.SIGQUIT if kind == "pgbouncer-newest" else signal.SIGTERM
        self._claim = ports.claim()
        super().__init__(self._claim.number)
        self.dir = server_dir("pgbouncer")
        self.log = self.dir / "server.log"
        self._passwords = dict(passwords or {})
        self.databases = databases or f"* = host=127.0.0.1 port={pg.port}"
        self.settings: dict[str, str | int] = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": str(self.dir / "users.txt"),
            "admin_users": "postgres",
            "stats_users": "dbwatch",
            "pool_mode": pool_mode,
            "ignore_startup_parameters": "extra_float_digits,options",
            **settings,
        }
        self._process: ServerProcess | None = None

    def start(self, *, timeout: float = 15.0) -> Self:
        """Start and wait until its console answers. Its own PostgreSQL need not be up, once users are known."""
        self._write()
        limited = ["prlimit", f"--nofile={self._open_files}:{self._open_files}"] if self._open_files else []
        command: list[str | Path] = [*limited, self._program, self.dir / "pgbouncer.ini"]
        self._process = ServerProcess(command, log=self.log, unprivileged=True)
        self._process.until("answers", self.answers, timeout)
        return self

    def stop(self) -> None:
        """End it at once, with the sessions through it."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill(self._at_once)

    def reload(self) -> None:
        """Write users and settings again and RELOAD."""
        self._write()
        self.sql("RELOAD", dbname="pgbouncer")

    def close(self) -> None:
        self.stop()
        remove_dir(self.dir)
        self._claim.release()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("pgbouncer is not running")
        return self._process.pid

    def connect(
        self, user: str = "postgres", dbname: str = "postgres", password: str | None = None, **params: str | int
    ) -> psycopg.Connection[Row]:
        """As of `Sessions`, with the password that the user was given."""
        return super().connect(user, dbname, password or self._passwords.get(user), **params)

    def answers(self) -> bool:
        try:
            self.sql("SHOW VERSION", dbname="pgbouncer")
        except psycopg.OperationalError:
            return False
        return True

    def _write(self) -> None:
        if self.pg.running:
            roles = [name for (name,) in self.pg.sql("SELECT rolname FROM pg_roles WHERE rolcanlogin")]
            known = {**dict.fromkeys(roles, ""), **self._passwords}
            lines = [f'"{name.replace(chr(34), chr(34) * 2)}" "{password}"\n' for name, password in known.items()]
            (self.dir / "users.txt").write_text("".join(lines))
        lines = [f"{name} = {value}\n" for name, value in self.settings.items()]
        ini = f"[databases]\n{self.databases}\n\n[pgbouncer]\n{''.join(lines)}"
        (self.dir / "pgbouncer.ini").write_text(ini)
        if user := server_user():
            for name in ("users.txt", "pgbouncer.ini"):
                shutil.chown(self.dir / name, user=user)
