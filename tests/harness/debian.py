"""Owns fetching programs of newer Debian suites into the cache, by apt with lists of its own; the system stays as is.

The mirror is the one that this machine's apt uses, and apt checks what comes: the suite's signature, its index by that,
each package by the index. Packages are named without a version, since testing and unstable keep only their newest. A
server comes with the C library and every other library it was built for, and its own loader starts it. Needs no root.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.binaries import fetched_home, fetched_program

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FAILURES = (OSError, ValueError, subprocess.SubprocessError)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One program: its name in the harness, and where it comes from. The first suite with such a version gives it."""

    name: str
    package: str
    member: str
    suites: tuple[str, ...]
    version: str
    """What the package's version begins with, without the epoch."""
    with_packages: tuple[str, ...] = ()
    libraries: bool = False
    """Whether it comes with its libraries, being too new for those of this machine."""


WANTED = (
    Wanted(
        "redis-8.0",
        "redis-server",
        "usr/bin/redis-server",
        suites=("trixie", "forky", "sid"),
        version="8.0.",
        with_packages=("redis-tools",),
        libraries=True,
    ),
    Wanted(
        "valkey-8.1",
        "valkey-server",
        "usr/bin/valkey-server",
        suites=("trixie", "forky", "sid"),
        version="8.1.",
        with_packages=("valkey-tools",),
        libraries=True,
    ),
    Wanted(
        "valkey-9.1-tls",
        "valkey-server",
        "usr/bin/valkey-server",
        suites=("forky", "sid"),
        version="9.1.",
        with_packages=("valkey-tools",),
        libraries=True,
    ),
    Wanted(
        "redis_exporter",
        "prometheus-redis-exporter",
        "usr/bin/prometheus-redis-exporter",
        suites=("forky", "sid", "trixie"),
        version="1.",
    ),
    Wanted(
        "postgres_exporter",
        "prometheus-postgres-exporter",
        "usr/bin/prometheus-postgres-exporter",
        suites=("forky", "sid", "trixie"),
        version="0.",
    ),
    Wanted("promtool-3", "promtool", "usr/bin/promtool", suites=("forky", "sid"), version="3."),
    Wanted(
        "pgbouncer-newest",
        "pgbouncer",
        "usr/sbin/pgbouncer",
        suites=("forky", "sid", "trixie"),
        version="1.",
        libraries=True,
    ),
)


def install_missing() -> list[str]:
    """Fetch what is not in the cache. Answers what could not be had and why, a sentence each."""
    missing = [wanted for wanted in WANTED if fetched_program(wanted.name) is None]
    if not missing:
        return []
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return [f"only apt can fetch {', '.join(wanted.name for wanted in missing)}"]
    with ExitStack() as opened:
        mirror = Mirror(opened)
        return [problem for wanted in missing if (problem := mirror.install(wanted))]


class Mirror:
    """The suites, each one's list of packages (10 MB) read at the first question about it and once."""

    def __init__(self, opened: ExitStack) -> None:
        self._opened = opened
        self._suites: dict[str, Suite | str] = {}

    def install(self, wanted: Wanted) -> str | None:
        """Put a program into the cache from the first suite that gives it. Answers why not, or None."""
        problems = []
        for name in wanted.suites:
            suite = self._suite(name)
            if isinstance(suite, str):
                problems.append(f"{name}: {suite}")
                continue
            try:
                suite.install(wanted)
            except FAILURES as error:
                problems.append(f"{name}: {error}")
            else:
                return None
        return f"{wanted.name} could not be fetched: {'; '.join(problems)}"

    def _suite(self, name: str) -> Suite | str:
        if name not in self._suites:
            try:
                self._suites[name] = self._opened.enter_context(Suite.opened(name))
            except FAILURES as error:
                self._suites[name] = str(error)
        return self._suites[name]


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite of the mirror, its list of packages in a folder that vanishes."""

    name: str
    folder: Path

    @classmethod
    @contextmanager
    def opened(cls, name: str) -> Iterator[Suite]:
        """Read the suite's list. ValueError when apt names no mirror or cannot have the list."""
        with tempfile.TemporaryDirectory(prefix="dbwatch-apt-") as folder:
            suite = cls(name, Path(folder))
            (suite.folder / "lists").mkdir()
            (suite.folder / "status").touch()
            (suite.folder / "sources.list").write_text(f"deb {_signed_by()}{_mirror()} {name} main\n", encoding="utf-8")
            (suite.folder / "apt.conf").write_text(
                f'Dir::Etc::SourceList "{folder}/sources.list";\nDir::Etc::SourceParts "/dev/null";\n'
                f'Dir::State "{folder}";\nDir::State::Lists "{folder}/lists";\nDir::State::status "{folder}/status";\n'
                f'Dir::Cache "{folder}";\nAcquire::Languages "none";\nAcquire::Retries "3";\n'
                'Acquire::http::Timeout "30";\nAcquire::https::Timeout "30";\nAPT::Update::Error-Mode "any";\n',
                encoding="utf-8",
            )
            suite._apt("apt-get", "update")
            yield suite

    def install(self, wanted: Wanted) -> None:
        """Put a program into the cache, whole and seen to run, or not at all."""
        version = self._version(wanted.package)
        if not version.startswith(wanted.version):
            raise ValueError(f"{wanted.package} is {version}, not {wanted.version}*")
        home = fetched_home(wanted.name)
        home.parent.mkdir(parents=True, exist_ok=True)
        packages = [wanted.package, *wanted.with_packages]
        if wanted.libraries:
            packages += self._libraries(packages)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=home.parent) as workshop:
            new = Path(workshop) / "new"
            new.mkdir(mode=0o755)
            self._unpack(packages, new / "root")
            (new / "version").write_text(version, encoding="utf-8")
            program = new / wanted.name
            if wanted.libraries:
                _write_starter(program, new / "root", wanted.member)
            else:
                program.symlink_to(Path("root", wanted.member))
            _run([program, "--version"])
            shutil.rmtree(home, ignore_errors=True)
            new.replace(home)

    def _version(self, package: str) -> str:
        """The version that the suite has, without its epoch."""
        shown = self._apt("apt-cache", "show", "--no-all-versions", package)
        version = next(line.partition(": ")[2] for line in shown.splitlines() if line.startswith("Version: "))
        return version.rpartition(":")[2]

    def _libraries(self, packages: Iterable[str]) -> list[str]:
        """Every library that these packages need, and what those need."""
        asked: set[str] = set()
        found: set[str] = set()
        wave = set(packages)
        while wave:
            lines = self._apt("apt-cache", "depends", "--important", *sorted(wave)).splitlines()
            asked |= wave
            needed = {line.rpartition(" ")[2] for line in lines if "Depends: lib" in line}
            found |= needed
            wave = needed - asked
        return sorted(found)

    def _unpack(self, packages: Sequence[str], root: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="debs-", dir=self.folder) as debs:
            self._apt("apt-get", "download", *packages, cwd=debs)
            for deb in sorted(Path(debs).glob("*.deb")):
                _run(["dpkg", "-x", deb, root])

    def _apt(self, program: str, *arguments: str, cwd: str = "/") -> str:
        return _run([program, "-q", "-c", self.folder / "apt.conf", *arguments], cwd=cwd)


def _write_starter(program: Path, root: Path, member: str) -> None:
    """A script that starts the member by the loader beside it, with the libraries beside it; it may move with them."""
    loader = next(root.glob("usr/lib/*/ld-linux*.so.*")).relative_to(root)
    program.write_text(
        '#!/bin/sh\nroot="${0%/*}/root"\n'
        f'exec "$root/{loader}" --library-path "$root/{loader.parent}" "$root/{member}" "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)


def _mirror() -> str:
    """Where this machine's apt has its Debian from."""
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    codename = dict(line.partition("=")[::2] for line in release.splitlines()).get("VERSION_CODENAME", "").strip('"')
    form = "$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)"
    for line in _run(["apt-get", "indextargets", "--format", form]).splitlines():
        kind, component, suite, uri = line.split(" ", 3)
        if (kind, component) == ("Packages", "main") and suite in (codename, "stable", "oldstable"):
            return uri
    raise ValueError(f"apt names no mirror of Debian {codename}")


def _signed_by() -> str:
    return f"[signed-by={KEYRING}] " if KEYRING.exists() else ""


def _run(argv: Sequence[str | Path], *, cwd: str = "/") -> str:
    """Its standard output. ValueError with its last words when it fails."""
    done = subprocess.run(
        [str(a) for a in argv],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line and not line.startswith("W:")]
        raise ValueError(f"{Path(argv[0]).name} ended with {done.returncode}: {' / '.join(said[-3:]) or 'no word'}")
    return done.stdout
