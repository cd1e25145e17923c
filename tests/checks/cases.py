"""Owns the format of a case: what to prepare on a real server, and what its check must then say. Runs nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dbwatch.model import Engine, Reason, Status
from dbwatch.strictyaml import read
from dbwatch.units import parse_bytes

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ROOT / "checks"
CASES = ROOT / "tests" / "checks"


def _listed(value: Any) -> Any:
    return value if value is None or isinstance(value, list) else [value]


Bound = float | str | None | tuple[float, float]
"""What a value must be: a number, a regular expression for a text, null, or [least, most]."""
Texts = Annotated[list[str], BeforeValidator(_listed)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedFinding(Strict):
    """One finding. Regular expressions must match the whole key, and somewhere in message and fix."""

    key: str
    status: Status | None = None
    message: str | None = None
    fix: str | None = None
    values: dict[str, Bound] = Field(default_factory=dict)


class Expect(Strict):
    """What the outcome must be. `findings` are all there are, `findings_like` some of them.

    A status that needs no reason must come without one. `rows_like`: some row of such a key has these values.
    """

    status: Status
    reason: Reason | None = None
    summary: str | None = None
    remedy: str | None = None
    findings: list[ExpectedFinding] | None = None
    findings_like: list[ExpectedFinding] = Field(default_factory=list)
    no_findings_like: str | None = None
    rows_like: dict[str, dict[str, Bound]] = Field(default_factory=dict)
    no_rows_like: str | None = None


class Case(Strict):
    name: str
    thresholds: dict[Status, str] = Field(default_factory=dict)
    target: dict[str, Any] = Field(default_factory=dict)
    sample: bool = True
    looks: int | None = Field(default=None, ge=1, le=5)
    expect: Expect


class SessionStep(Strict):
    """A session that stays open during the check.

    Its last statement has to wait for a lock (`blocks`), still run (`runs`), or fail (`fails`); `replication` opens a
    replication connection instead, whose last command is sent and its answer never read.
    """

    name: str
    user: str = "postgres"
    application_name: str = ""
    sql: Texts = Field(default_factory=list)
    blocks: bool = False
    runs: bool = False
    fails: bool = False
    replication: bool = False


class DumpFile(Strict):
    """A file below the case's folder: given text, given bytes in base64, or a size of zero bytes."""

    name: str
    content: str | None = None
    base64: str | None = None
    size: int | None = None
    gzip: bool = False
    age_seconds: float = 0.0
    mode: str | None = None


class PostgresServer(Strict):
    """`initdb` are more options of initdb, as `--data-checksums`."""

    settings: dict[str, str] = Field(default_factory=dict)
    initdb: list[str] = Field(default_factory=list)


class Damage(Strict):
    """Bytes (in hex) written over a page of a relation's file while the server is stopped."""

    relation: str
    page: int = 0
    offset: int
    bytes: str


class PostgresMonitor(Strict):
    grants: list[str] = Field(default_factory=lambda: ["pg_monitor"])


class PostgresFault(Strict):
    """`stop` ends the server, `freeze` holds all its processes, `starting` leaves it refusing with "not accepting"."""

    stop: bool = False
    freeze: bool = False
    starting: bool = False


class PostgresCase(Case):
    """What is set up, in this order: files, setup, standby_setup, restart, promote, corrupt, sessions, wait_until.

    `{database}` and `{pid:session}` are filled in everywhere, in `expect` as they match in a regular expression.
    `role` is the checked server's; `standby: true` gives a checked primary a standby. SQL is run by the superuser in
    the case's own database; a list is one transaction an entry. `between` comes right before the (second) look.
    """

    versions: str | None = None
    role: Literal["primary", "standby"] = "primary"
    standby: bool = False
    server: PostgresServer | None = None
    files: list[DumpFile] = Field(default_factory=list)
    setup: Texts = Field(default_factory=list)
    standby_setup: Texts = Field(default_factory=list)
    restart: Literal["fast", "immediate"] | None = None
    promote: bool = False
    corrupt: list[Damage] = Field(default_factory=list)
    next_xid: int | None = None
    sessions: list[SessionStep] = Field(default_factory=list)
    wait_until: str | None = None
    between: Texts = Field(default_factory=list)
    between_until: str | None = None
    teardown: Texts = Field(default_factory=list)
    standby_teardown: Texts = Field(default_factory=list)
    monitor: PostgresMonitor = PostgresMonitor()
    fault: PostgresFault | None = None

    def runs_on(self, major: int) -> bool:
        if self.versions is None:
            return True
        for bound in self.versions.split(","):
            match = re.fullmatch(r"\s*(>=|<)\s*(\d+)\s*", bound)
            if match is None:
                raise ValueError(f"versions {self.versions!r} is not like '>=16' or '>=14,<17'")
            if (match.group(1) == ">=") is not (major >= int(match.group(2))):
                return False
        return True


class Repeat(Strict):
    """`{repeat: 100, command: "GET key{i}"}`."""

    repeat: int = 1
    command: str


Commands = list[str | Repeat]


class RedisTls(Strict):
    """Days until the server's certificate ends, and that of its authority; negative ones have passed."""

    days: int = 90
    ca_days: int = 90


class RedisNode(Strict):
    """A node of a cluster as its `nodes.conf` remembers it. The one with the flag `myself` is checked, others are dead.

    `of` is the id of a replica's primary, `slots` as in `0-8191`.
    """

    id: str
    flags: str
    of: str | None = None
    slots: str = ""


class RedisServerFile(Strict):
    """`mode: sentinel` checks a Sentinel with this config that watches the master under the name `main`.

    `mode: cluster` checks a node of a cluster that knows `nodes`. `tls` gives the server a second port, with TLS.
    """

    mode: Literal["standalone", "sentinel", "cluster"] = "standalone"
    config: dict[str, str] = Field(default_factory=dict)
    nodes: list[RedisNode] = Field(default_factory=list)
    tls: RedisTls | None = None


class RedisFault(Strict):
    """`restart` stops the server, starts it again and waits for its first answer: it may be loading."""

    freeze: bool = False
    stop: bool = False
    restart: bool = False


class RedisMonitor(Strict):
    """An ACL user to check as: `{user: dbwatch, rules: ["on", ">pw", "+info"], password: pw}`."""

    user: str
    rules: list[str]
    password: str


class RedisWait(Strict):
    command: str
    like: str


class RedisCase(Case):
    """`role: replica` checks a replica; `setup` and `between` are always the master's, `replica_setup` the replica's.

    `sessions` are commands sent on connections that stay open and are not answered, as a BLPOP.
    `fault_primary` befalls the master of a checked replica. `{port}` is the checked server's, `{primary_port}` the
    master's, `{replica_port}` its replica's. Where a Sentinel is checked, `setup` and `between` are its own.
    `network: true` comes by an address of this machine beyond loopback, `socket: true` by a socket file.
    """

    kinds: list[str] | None = None
    server: RedisServerFile | None = None
    role: Literal["master", "replica"] = "master"
    replica: bool = False
    network: bool = False
    socket: bool = False
    setup: Commands = Field(default_factory=list)
    replica_setup: Commands = Field(default_factory=list)
    sessions: list[str] = Field(default_factory=list)
    wait_until: RedisWait | None = None
    between: Commands = Field(default_factory=list)
    fault: RedisFault | None = None
    fault_primary: RedisFault | None = None
    monitor: RedisMonitor | None = None


class ToldServer(Strict):
    """What a watched PostgreSQL server of the cluster has told; its log is counted in files of 16 MiB.

    `written` are pairs: so many files of log had been written so many seconds ago.
    """

    system_identifier: str = "7000000000000000001"
    target: str = "orders"
    position: float
    archived: float | None = None
    archived_age_seconds: float | None = None
    timeout_seconds: float = 0.0
    written: list[tuple[float, float]] = Field(default_factory=list)


class BackupSetup(Strict):
    """In `files`, `{ago:60}` is the Unix time a minute ago and `{folder}` where they lie; both also in `target`."""

    files: list[DumpFile] = Field(default_factory=list)
    missing_folder: bool = False
    told: ToldServer | None = None


class BackupCase(Case):
    setup: BackupSetup = BackupSetup()


ByteCount = Annotated[float, BeforeValidator(parse_bytes)]


class HostVolume(Strict):
    """What statvfs() says; `error` is the name of an errno, as ENOENT."""

    size: ByteCount = 100.0 * 2**30
    used: ByteCount = 40.0 * 2**30
    reserved: ByteCount = 0.0
    inodes_used: float | None = 1000.0
    inodes_free: float | None = 99000.0
    device: str = "8:0"
    error: str | None = None
    hangs: bool = False


class HostClock(Strict):
    synchronised: bool = True
    offset_seconds: float = 0.0001
    max_error_seconds: float = 0.05


class HostScene(Strict):
    """A machine at one moment: `files` below its root over those of a healthy one, `cpu` as seconds of four cores."""

    files: dict[str, str | None] = Field(default_factory=dict)
    cpu: dict[str, float] | None = None
    volumes: dict[str, HostVolume] = Field(default_factory=dict)
    clock: HostClock | None = None


class HostCase(Case, HostScene):
    """`later` is what has become of it `passes` seconds after the first look."""

    later: HostScene = HostScene()
    passes: float = 60.0
    cgroup: str | None = None


class PgBouncerClients(Strict):
    """So many clients that each run these statements through the pooler, and then stay until the case has ended it."""

    count: int = 1
    user: str = "postgres"
    sql: Texts = Field(default_factory=list)


class PgBouncerWait(Strict):
    """Until some row of a SHOW has at least so much in a column."""

    show: str
    column: str
    least: float


class PgBouncerFault(Strict):
    stop: bool = False
    freeze: bool = False


class PgBouncerMonitor(Strict):
    user: str = "dbwatch"
    password: str | None = None


class PgBouncerCase(Case):
    """A PgBouncer of the case's own before a shared PostgreSQL with the database `pooled "db"`.

    `settings` and `databases` are those of its file, `open_files` its limit. First `clients` run their statements to
    the end; then they `commit`, its admin says something on the `console`, and `late_clients` come, who may hang, until
    `wait_until` holds. `rush` are clients that come and go between the two looks. `{port}` is PostgreSQL's, at
    `{dead_port}` nobody listens. `socket` comes by a socket file.
    """

    kinds: list[str] | None = None
    settings: dict[str, str | int] = Field(default_factory=dict)
    databases: str | None = None
    passwords: dict[str, str] = Field(default_factory=dict)
    open_files: int | None = None
    socket: bool = False
    clients: list[PgBouncerClients] = Field(default_factory=list)
    commit: bool = False
    console: Texts = Field(default_factory=list)
    late_clients: list[PgBouncerClients] = Field(default_factory=list)
    wait_until: list[PgBouncerWait] = Field(default_factory=list)
    rush: PgBouncerClients | None = None
    fault: PgBouncerFault | None = None
    monitor: PgBouncerMonitor = PgBouncerMonitor()


_FORMATS: dict[Engine, type[Case]] = {
    Engine.POSTGRES: PostgresCase,
    Engine.REDIS: RedisCase,
    Engine.BACKUP: BackupCase,
    Engine.HOST: HostCase,
    Engine.PGBOUNCER: PgBouncerCase,
}


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The cases of one check; `error` is set when the file cannot be used."""

    engine: Engine
    check: str
    path: Path
    cases: tuple[Case, ...] = ()
    error: str | None = None


def case_file(engine: Engine, check: str) -> CaseFile:
    """Read one file; whatever is wrong with it becomes its `error`, so that others can still run."""
    path = CASES / engine.value / f"{check}.yaml"
    try:
        data = read(path.read_bytes(), str(path)).data
        if not isinstance(data, dict) or set(data) != {"cases"} or not isinstance(data["cases"], list):
            raise ValueError("holds one key, `cases`, with a list")
        cases = tuple(_FORMATS[engine].model_validate(case) for case in data["cases"])
        names = [case.name for case in cases]
        if len(set(names)) != len(names):
            raise ValueError("two cases have one name")
    except Exception as error:
        return CaseFile(engine, check, path, error=f"{type(error).__name__}: {error}")
    return CaseFile(engine, check, path, cases)


def all_check_names() -> list[tuple[Engine, str]]:
    """Every bundled check file and every case file; the two lists must be one."""
    found = set()
    for engine in Engine:
        for base in (CHECKS, CASES):
            found |= {(engine, path.stem) for path in (base / engine.value).glob("*.yaml")}
    return sorted(found)
