"""The real Barman: one server's catalogue, and copies of it that a test may ruin."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from tests.harness.backups import as_server_user, copy_owned, own, popen_as_server_user
from tests.harness.binaries import postgres_client, program
from tests.harness.postgres import Postgres
from tests.harness.process import server_user
from tests.harness.proctree import descendants, send
from tests.harness.waiting import eventually

SERVER = "main"
PASSWORD = "conninfo-s3cret"
"""It must turn up nowhere."""


class Catalogue:
    """A configuration and the catalogue of one server below `place`, all of the servers' user.

    The password in `conninfo` is not needed, every connection being trusted: it is there to be kept secret.
    """

    def __init__(self, place: Path, pg: Postgres, *, options: Mapping[str, str] | None = None) -> None:
        self._program = program("barman")
        self._pg = pg
        self.place = place
        self.options = dict(options or {})
        self.config_file = place / "barman.conf"
        place.mkdir(parents=True, exist_ok=True)
        own(place)
        self.configure()

    @property
    def home(self) -> Path:
        return self.place / SERVER

    def configure(self, **options: str) -> None:
        """Write the configuration, with more options of the server than before."""
        self.options |= options
        conninfo = f"host=127.0.0.1 port={self._pg.port} user=postgres"
        server = {
            "description": '"a server"',
            "conninfo": f"{conninfo} dbname=postgres password={PASSWORD}",
            "streaming_conninfo": conninfo,
            "backup_method": "postgres",
            "archiver": "on",
            "path_prefix": str(postgres_client("pg_basebackup").parent),
            "immediate_checkpoint": "true",
            **self.options,
        }
        self.config_file.write_text(
            f"[barman]\nbarman_user = {server_user() or Path.home().owner()}\nbarman_home = {self.place}\n"
            f"configuration_files_directory = {self.place / 'none'}\nbarman_lock_directory = {self.place}\n"
            f"log_file = {self.place / 'barman.log'}\n[{SERVER}]\n"
            + "".join(f"{name} = {value}\n" for name, value in server.items())
        )
        own(self.config_file)

    @property
    def archive_command(self) -> str:
        return f"cp %p {self.home / 'incoming'}/%f"

    def run(self, *arguments: str) -> str:
        return as_server_user([self._program, "-c", self.config_file, *arguments])

    def create(self) -> None:
        """Make the folders that Barman's first command would make, so that log can come in."""
        for name in ("base", "wals", "incoming", "streaming", "errors"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
            own(self.home / name)
        own(self.home)

    def backup(self) -> None:
        """A whole backup. Barman refuses to begin one before it has seen log come in."""
        self.run("archive-wal", SERVER)
        self.run("backup", SERVER)
        self.run("archive-wal", SERVER)

    def start_backup(self) -> subprocess.Popen[bytes]:
        """Started, and seen in the catalogue."""
        before = len(self.backups())
        process = popen_as_server_user([self._program, "-c", self.config_file, "backup", SERVER])
        eventually(lambda: len(self.backups()) > before or process.poll() is not None, every=0.005)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill it with all it has started: it has no chance to say that it failed."""
        send([process.pid, *descendants(process.pid)], signal.SIGKILL)
        process.wait()

    def fail(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the copying alone; Barman sees that it failed."""

        def copying() -> list[int]:
            return [pid for pid in descendants(process.pid) if _name_of(pid) == "pg_basebackup"]

        send(eventually(copying, every=0.005), signal.SIGKILL)
        process.wait()

    def backups(self) -> list[str]:
        """The ids of the backups that have begun, whatever became of them."""
        return sorted(path.parent.name for path in (self.home / "base").glob("*/backup.info"))

    def copy(self, place: Path) -> Catalogue:
        """Another such place with the same content, which knows nothing of this one; the backups' files stay behind."""
        copy_owned(self.place, place, without="data")
        return Catalogue(place, self._pg, options=self.options)

    def shift(self, hours: int) -> None:
        """Let every backup have been made so much later, or earlier when negative."""

        def later(found: re.Match[str]) -> str:
            moment = datetime.fromisoformat(found[2]) + timedelta(hours=hours)
            return f"{found[1]}{moment.isoformat(sep=' ')}"

        for path in (self.home / "base").glob("*/backup.info"):
            path.write_text(re.sub(r"(?m)^((?:begin|end)_time=)(.+)$", later, path.read_text()))


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
