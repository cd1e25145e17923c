"""A real PostgreSQL server of a chosen major on loopback: started, asked, replicated, promoted, ended."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

import psycopg

from tests.harness import cluster, ports
from tests.harness.binaries import postgres_bin, postgres_client
from tests.harness.lifetime import Lifetime
from tests.harness.process import ServerProcess, remove_dir, server_dir
from tests.harness.sessions import Sessions
from tests.harness.waiting import eventually

StopMode = Literal["smart", "fast", "immediate"]
_STOP_SIGNAL = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Postgres(Sessions, Lifetime):
    """One server. `with Postgres(17) as pg:` starts it; the end of the block ends it, its standbys and its folder.

    `settings` are added to `cluster.DEFAULTS`; `initdb` are more options of initdb; `own_identity` runs a
    real initdb so that the system identifier is not the one all servers of this major share. The superuser
    is `postgres`; every connection on loopback is trusted until `hba` says otherwise.
    """

    def __init__(
        self,
        major: int,
        *,
        settings: Mapping[str, str] | None = None,
        initdb: Sequence[str] = (),
        own_identity: bool = False,
        name: str | None = None,
    ) -> None:
        self.major = major
        self.name = name or f"pg{major}"
        self.settings: dict[str, str] = {**cluster.DEFAULTS, **(settings or {})}
        self._bin = postgres_bin(major)
        self._claim = ports.claim()
        super().__init__(self._claim.number)
        self.dir = server_dir(self.name)
        self.data = self.dir / "data"
        self.log = self.dir / "server.log"
        self._initdb = tuple(initdb)
        self._own_identity = own_identity
        self._process: ServerProcess | None = None
        self._standbys: list[Postgres] = []

    def _await_end(self, pid: int) -> None:
        with contextlib.suppress(TimeoutError):
            eventually(lambda: not Path(f"/proc/{pid}").exists(), timeout=1, every=0.001)

    # -- life --------------------------------------------------------------------------------------

    def start(self, *, timeout: float = 60.0, wait: bool = True) -> Self:
        """Start and wait until it takes connections. With `wait=False` it may still be starting up."""
        if self.running:
            return self
        if not self.data.exists():
            make = cluster.new_cluster if self._own_identity else cluster.copy_template
            make(self.major, self.data, initdb=self._initdb)
        self.write_settings()
        self._process = ServerProcess([self._bin / "postgres", "-D", self.data], log=self.log, unprivileged=True)
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Until a connection succeeds; RuntimeError with the log as soon as the server gives up."""
        self._running_process().until("takes connections", self.accepts, timeout)

    def stop(self, mode: StopMode = "fast", *, timeout: float = 30.0) -> None:
        """Stop it as `pg_ctl stop -m MODE` does. The data stay for the next `start`."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.thaw()
        process.signal(_STOP_SIGNAL[mode])
        try:
            process.wait(timeout)
        except TimeoutError:
            process.kill(signal.SIGQUIT)
            raise

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start, on the same port and data."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """End it whatever its state, its standbys before it, and remove its folder. Safe to repeat."""
        while self._standbys:
            self._standbys.pop().close()
        if self._process is not None:
            self._process.kill(signal.SIGQUIT)
            self._process = None
        remove_dir(self.dir)
        self._claim.release()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def postmaster_pid(self) -> int:
        return self._running_process().pid

    def _running_process(self) -> ServerProcess:
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process

    def accepts(self) -> bool:
        """Whether a connection succeeds now."""
        try:
            self.connect(connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    # -- configuration -----------------------------------------------------------------------------

    def write_settings(self) -> None:
        """Write `settings` with this server's port and socket folder over them; read at the next start or reload."""
        place = {"port": str(self.port), "unix_socket_directories": str(self.dir)}
        cluster.write_settings(self.data, {**self.settings, **place})

    def configure(self, **settings: str) -> None:
        """Change settings of the running server by a reload. One that needs a restart takes effect with `restart()`."""
        self.settings.update(settings)
        self.write_settings()
        self.reload()

    def hba(self, *lines: str) -> None:
        """Replace pg_hba.conf: `postgres` on loopback stays trusted, then `lines` decide, then all is refused.

        `pg.hba("host all all 127.0.0.1/32 scram-sha-256")` makes every other role need its password.
        """
        rules = (
            "local all all trust",
            "host all postgres 127.0.0.1/32 trust",
            "host replication postgres 127.0.0.1/32 trust",
        )
        cluster.replace_file(self.data / "pg_hba.conf", "\n".join((*rules, *lines)) + "\n")
        self.reload()

    def reload(self) -> None:
        """SIGHUP, and wait until the postmaster has taken it."""
        mark = self.log_mark()
        self._running_process().signal(signal.SIGHUP)
        eventually(
            lambda: any("received SIGHUP" in line for line in self.log_lines_since(mark)),
            what=f"{self.name} reloads",
            every=0.02,
        )

    # -- replication -------------------------------------------------------------------------------

    def standby(
        self, *, name: str = "standby1", settings: Mapping[str, str] | None = None, slot: str | None = None
    ) -> Postgres:
        """A streaming standby of this server, started and streaming under `name`; with `slot`, through a new slot.

        Not `pg_basebackup -R`: version 18 writes connection options that the walreceivers of older majors
        refuse.
        """
        twin = Postgres(self.major, settings={**self.settings, **(settings or {})}, name=f"{self.name}-{name}")
        self._standbys.append(twin)
        conninfo = f"host=127.0.0.1 port={self.port} user=postgres application_name={name}"
        argv: list[str | Path] = [postgres_client("pg_basebackup"), "-D", twin.data, "-d", conninfo]
        argv += ["-X", "stream", "-c", "fast", "--no-sync"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"pg_basebackup ended with {done.returncode}: {done.stderr}")
        (twin.data / "postgresql.auto.conf").write_text("")
        (twin.data / "standby.signal").touch()
        cluster.give_to_server_user(twin.data)
        twin.settings["primary_conninfo"] = conninfo
        if slot is not None:
            self.sql("SELECT pg_create_physical_replication_slot(%s, true)", [slot])
            twin.settings["primary_slot_name"] = slot
        twin.start()
        eventually(
            lambda: self.sql(
                "SELECT 1 FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'",
                [name],
            ),
            timeout=30,
            what=f"{name} streams from {self.name}",
        )
        return twin

    def in_recovery(self) -> bool:
        return bool(self.sql("SELECT pg_is_in_recovery()")[0][0])

    def wait_caught_up(self, standby: Postgres, *, timeout: float = 20.0) -> None:
        """Until `standby` has replayed what this server has written by now."""
        (here,) = self.sql("SELECT pg_current_wal_lsn()::text")[0]
        eventually(
            lambda: standby.sql("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [here])[0][0],
            timeout=timeout,
            what=f"{standby.name} replays up to {here}",
        )

    def promote(self) -> None:
        """Make a standby a primary and wait until it takes writes."""
        self.sql("SELECT pg_promote(true, 60)")
        eventually(lambda: not self.in_recovery(), timeout=60, what=f"{self.name} is promoted")

    # -- the log -----------------------------------------------------------------------------------

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def log_mark(self) -> int:
        """The log's end as it is now, for `log_lines_since`."""
        return self.log.stat().st_size

    def log_lines_since(self, mark: int = 0) -> list[str]:
        """The lines written after `mark`."""
        with self.log.open("rb") as log:
            log.seek(mark)
            return log.read().decode("utf-8", errors="replace").splitlines()
