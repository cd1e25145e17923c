"""Data directories of PostgreSQL: made once a major by initdb, kept as a template, copied for every server."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.binaries import cache_dir, postgres_bin
from tests.harness.process import run_as_server_user, server_user

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS_FILE = "harness.conf"

INITDB = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--lc-messages=C",
    "--no-sync",
)

DEFAULTS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "shared_preload_libraries": "pg_stat_statements",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    "timezone": "UTC",
}
"""What every test server has unless its `settings` say otherwise; all else is PostgreSQL's own default."""

UNTOUCHED: Mapping[str, str] = {"autovacuum_naptime": "50min"}
"""For a server whose tables stay as a test left them: by default autovacuum comes by every minute, and may come now."""

SAFE: Mapping[str, str] = {"fsync": "on", "full_page_writes": "on"}
"""For a server that is to pass as healthy: ours give up the safety of their data for speed, and dbwatch says so."""


def copy_template(major: int, into: Path, *, initdb: Sequence[str] = ()) -> None:
    """Make `into` a new data directory. Servers from one template share a system identifier, as clones do."""
    source = _template(major, initdb)
    subprocess.run(["cp", "-a", "--reflink=auto", source, into], check=True, stdin=subprocess.DEVNULL)


def new_cluster(major: int, into: Path, *, initdb: Sequence[str] = ()) -> None:
    """Make `into` a data directory by initdb (0.4 s against 0.1 s), with a system identifier of its own."""
    run_as_server_user([postgres_bin(major) / "initdb", *INITDB, *initdb, "-D", into], what=f"initdb {major}")
    with (into / "postgresql.conf").open("a", encoding="utf-8") as conf:
        conf.write(f"\ninclude_if_exists = '{SETTINGS_FILE}'\n")


def write_settings(data: Path, settings: Mapping[str, str]) -> None:
    """Replace the harness's part of the configuration. ALTER SYSTEM still wins over it."""
    lines = [f"{name} = '{_quoted(value)}'\n" for name, value in settings.items()]
    replace_file(data / SETTINGS_FILE, "".join(lines))


def replace_file(path: Path, text: str) -> None:
    """Write a file of the data directory, whole or not at all, owned by the server's user."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    if user := server_user():
        shutil.chown(new, user=user)
    new.replace(path)


def give_to_server_user(folder: Path) -> None:
    """Hand a folder that we filled ourselves (pg_basebackup) to the user who runs the server."""
    if user := server_user():
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, user=user)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _template(major: int, initdb: Sequence[str]) -> Path:
    program = postgres_bin(major) / "postgres"
    built = program.stat()
    facts = f"{program} {built.st_size} {built.st_mtime_ns} {server_user()} {INITDB} {tuple(initdb)}"
    folder = _templates_dir()
    ready = folder / f"postgresql-{major}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
    with _locked(folder / f"{ready.name}.lock"):
        if not ready.exists():
            workshop = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
            if user := server_user():
                shutil.chown(workshop, user=user)
            try:
                new_cluster(major, workshop / "data", initdb=initdb)
                (workshop / "data").replace(ready)
            finally:
                shutil.rmtree(workshop, ignore_errors=True)
    return ready


def _templates_dir() -> Path:
    """Beside the servers in the cache; in the temporary folder where the cache is not ours to write."""
    choices = (cache_dir() / "templates", Path(tempfile.gettempdir()) / f"dbwatch-templates-{os.getuid()}")
    for folder in choices:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise RuntimeError(f"no folder for templates: {choices}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
