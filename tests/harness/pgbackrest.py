"""The real pgBackRest: a stanza of a `Postgres`, its repositories, and copies of them that a test may ruin."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.harness.backups import as_server_user, copy_owned, own, popen_as_server_user
from tests.harness.binaries import program
from tests.harness.postgres import Postgres
from tests.harness.proctree import descendants, send
from tests.harness.waiting import eventually

STANZA = "main"
NEWEST_MAJOR = 15
"""The newest PostgreSQL that Debian 12's version knows."""


class Repository:
    """A configuration, its stanza and one or more repositories below `place`, all of the servers' user.

    `options` are lines of the [global] section. What is here may be copied whole: `copy` writes the configuration anew.
    """

    def __init__(
        self, place: Path, pg: Postgres, *, repositories: int = 1, options: Mapping[str, str] | None = None
    ) -> None:
        self._program = program("pgbackrest")
        self._pg = pg
        self.place = place
        self.repositories = repositories
        self.options = dict(options or {})
        self.config_file = place / "pgbackrest.conf"
        for folder in (place, *(self.repo(number) for number in range(1, repositories + 1)), place / "lock"):
            folder.mkdir(parents=True, exist_ok=True)
            own(folder)
        self.configure()

    def repo(self, number: int = 1) -> Path:
        return self.place / f"repo{number}"

    def configure(self, **options: str) -> None:
        """Write the configuration, with more options than before (`repo1_retention_full="1"`)."""
        self.options |= {name.replace("_", "-"): value for name, value in options.items()}
        lines = [f"repo{number}-path={self.repo(number)}" for number in range(1, self.repositories + 1)]
        lines += [f"{name}={value}" for name, value in self.options.items()]
        usual = "log-level-file=off\nstart-fast=y\ncompress-type=lz4\narchive-timeout=60\n"
        self.config_file.write_text(
            f"[global]\n{usual}lock-path={self.place / 'lock'}\n" + "\n".join(lines) + f"\n[{STANZA}]\n"
            f"pg1-path={self._pg.data}\npg1-port={self._pg.port}\npg1-socket-path={self._pg.dir}\npg1-user=postgres\n"
        )
        own(self.config_file)

    @property
    def archive_command(self) -> str:
        return f"{self._program} --config={self.config_file} --stanza={STANZA} archive-push %p"

    def run(self, *arguments: str) -> str:
        """Its standard output. RuntimeError with its words when it fails."""
        return as_server_user([self._program, f"--config={self.config_file}", f"--stanza={STANZA}", *arguments])

    def backup(self, kind: str, *options: str) -> None:
        self.run(f"--type={kind}", *options, "backup")

    def start_backup(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        argv: list[str | Path] = [
            self._program,
            f"--config={self.config_file}",
            f"--stanza={STANZA}",
            f"--type={kind}",
            *options,
            "backup",
        ]
        return popen_as_server_user(argv)

    def freeze_half_way(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        """Start a backup, and stop it with all its workers as soon as files of it are in the repository.

        A file of four gigabytes of nothing in the server's folder keeps it busy until then.
        """
        before = set(self._folders())
        with (self._pg.data / "holes").open("wb") as holes:
            holes.truncate(4 * 1024**3)
        own(self._pg.data / "holes")
        try:
            process = self.start_backup(kind, *options)
            eventually(lambda: set(self._folders()) - before or process.poll() is not None, every=0.001)
            send([process.pid, *descendants(process.pid)], signal.SIGSTOP)
        finally:
            (self._pg.data / "holes").unlink()
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        send([process.pid, *descendants(process.pid)], signal.SIGKILL)
        process.wait()

    def copy(self, place: Path) -> Repository:
        """Another such place with the same content, which knows nothing of this one; the backups' files stay behind."""
        copy_owned(self.place, place, without="pg_data")
        return Repository(place, self._pg, repositories=self.repositories, options=self.options)

    def shift(self, seconds: int, number: int = 1) -> None:
        """Let every backup have been made so much later, or earlier when negative."""

        def later(entry: dict[str, object]) -> None:
            for name in ("backup-timestamp-start", "backup-timestamp-stop"):
                moment = entry[name]
                assert isinstance(moment, int)
                entry[name] = moment + seconds

        self.rewrite(later, number)

    def rewrite(self, change: Callable[[dict[str, object]], None], number: int = 1) -> None:
        """Change every entry of backup.info, and its checksum, which pgBackRest believes."""
        for name in ("backup.info", "backup.info.copy"):
            path = self.repo(number) / "backup" / STANZA / name
            path.write_text(_rewritten(path.read_text(), change))

    def _folders(self) -> list[str]:
        home = self.repo() / "backup" / STANZA
        return [path.name for path in home.iterdir() if re.match(r"\d{8}-", path.name)] if home.exists() else []


def _rewritten(text: str, change: Callable[[dict[str, object]], None]) -> str:
    """The checksum is SHA-1 of the sections as one line of JSON, without the line that holds it."""
    sections: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line[1:-1], {})
        elif line:
            key, _, value = line.partition("=")
            section[key] = value
    for key, value in sections.get("backup:current", {}).items():
        entry = json.loads(value)
        change(entry)
        sections["backup:current"][key] = json.dumps(entry, separators=(",", ":"), sort_keys=True)
    del sections["backrest"]["backrest-checksum"]
    said = ",".join(
        f'"{name}":{{' + ",".join(f'"{key}":{value}' for key, value in sorted(content.items())) + "}"
        for name, content in sorted(sections.items())
    )
    digest = hashlib.sha1(f"{{{said}}}".encode()).hexdigest()
    sections["backrest"]["backrest-checksum"] = f'"{digest}"'
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in content.items())
        for name, content in sections.items()
    )
