"""Every PostgreSQL major with a load to look at, each seen by postgres_exporter before and after one daemon of ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

from dbwatch.bundled import bundled
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.model import Engine
from tests.compat.exporters import Exporter
from tests.compat.postgres_allowances import OFF_BY_DEFAULT
from tests.compat.scraped import Scraped, read_page, without
from tests.harness.binaries import SUPPORTED_MAJORS
from tests.harness.daemon import Daemon
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually

EXPORTER = "postgres_exporter"
GONE = "gone"
"""A target of the daemon that nobody answers for."""
OURS, THEIRS, BUSY = "dbwatch", "the-exporter", "busy"
NEWEST = max(SUPPORTED_MAJORS)
_LOAD = (
    "create extension if not exists pg_stat_statements",
    "create role watcher login in role pg_monitor",
    "alter role watcher connection limit 40",
    'create table "odd ""name"" é" (id int primary key, note text)',
    'insert into "odd ""name"" é" select g, repeat(g::text, 50) from generate_series(1, 500) as g',
    "create table never_looked_at (id int)",
    'update "odd ""name"" é" set note = null where id % 3 = 0',
    "create table being_vacuumed (id int) with (fillfactor = 10)",
    "insert into being_vacuumed select generate_series(1, 40000)",
    "delete from being_vacuumed where id % 2 = 0",
)
_SLOWLY = ("set vacuum_cost_delay = 100", "set vacuum_cost_limit = 1")


@dataclass(frozen=True, slots=True)
class Seen:
    """One server's pages: the exporter's before, ours, the exporter's after."""

    before: Mapping[str, Scraped]
    ours: Mapping[str, Scraped]
    after: Mapping[str, Scraped]


@dataclass(frozen=True, slots=True)
class Look:
    """All servers by name, and the daemon, still running."""

    servers: Mapping[str, Seen]
    version: str
    daemon: Daemon
    running: Mapping[str, Postgres] = field(default_factory=dict)


@contextmanager
def looked_at(majors: Sequence[int]) -> Iterator[Look]:
    """Start the servers, let both look at them, and keep all of it for the block."""
    with ExitStack() as running:
        servers = {f"pg{major}": _loaded(running, major) for major in majors}
        if NEWEST in majors:
            primary = servers[f"pg{NEWEST}"]
            standby = running.enter_context(primary.standby(name="replica", slot="for_replica"))
            primary.sql("select pg_create_physical_replication_slot('nobody', true)")
            primary.sql("create table made_after_the_backup ()")
            primary.wait_caught_up(standby)
            _in_use(running, standby, "select pg_sleep(600)")
            servers[f"pg{NEWEST}-standby"] = standby
        exporters = {name: running.enter_context(_exporter(server)) for name, server in servers.items()}
        before = {name: exporter.scrape("pg_up 1") for name, exporter in exporters.items()}
        daemon = running.enter_context(Daemon(config_text=_config(servers)))
        for name in servers:
            wait_collected(daemon, EXPORTER, name)
        ours = {name: read_page(daemon.get(f"/compat/{EXPORTER}/{name}").text) for name in servers}
        after = {name: exporter.scrape("pg_up 1") for name, exporter in exporters.items()}
        seen = {name: Seen(*(_of_others(page[name]) for page in (before, ours, after))) for name in servers}
        yield Look(seen, next(iter(exporters.values())).version, daemon, servers)


def wait_collected(daemon: Daemon, exporter: str, target: str) -> None:
    """Until every collector has run once."""
    count = len(load_collectors([bundled("checks")]).of(Engine.POSTGRES))
    path = f"/compat/{exporter}/{target}"
    eventually(
        lambda: daemon.get(path).text.count("\npg_scrape_collector_success{") == count,
        timeout=60,
        what=f"{count} collectors of {target}",
    )


def _loaded(running: ExitStack, major: int) -> Postgres:
    server = running.enter_context(Postgres(major, settings={"autovacuum": "off"}))
    for statement in _LOAD:
        server.sql(statement)
    server.sql('vacuum analyze "odd ""name"" é"')
    open_transaction = running.enter_context(server.connect(application_name="open app"))
    open_transaction.execute("begin")
    open_transaction.execute("lock table never_looked_at in share mode")
    # What a vacuum writes would keep the standby's distance from standing still.
    _in_use(running, server, "select pg_sleep(600)" if major == NEWEST else "vacuum being_vacuumed")
    return server


def _in_use(running: ExitStack, server: Postgres, statement: str) -> None:
    """An idle session, and one that takes minutes over a statement, ended with the block.

    With both there the states have rows of sessions, not of nobody, whatever the sessions of those that look do.
    """
    running.enter_context(server.connect(application_name="idle app")).execute("select 1")
    session = running.enter_context(server.connect(application_name=BUSY))
    for setting in _SLOWLY:
        session.execute(setting)

    def work() -> None:
        with suppress(psycopg.Error):
            session.execute(statement)

    thread = threading.Thread(target=work, name="busy", daemon=True)
    thread.start()
    running.callback(thread.join, 10)
    running.callback(session.cancel_safe)
    under_way = f"select from pg_stat_activity where application_name = '{BUSY}' and state = 'active'"
    if statement.startswith("vacuum"):
        under_way = "select from pg_stat_progress_vacuum"
    eventually(lambda: server.sql(under_way), what=statement)


def _exporter(server: Postgres) -> Exporter:
    source = server.url("watcher", application_name=THEIRS, sslmode="disable")
    return Exporter(EXPORTER, [f"--collector.{name}" for name in OFF_BY_DEFAULT], env={"DATA_SOURCE_NAME": source})


def _config(servers: Mapping[str, Postgres]) -> str:
    """No checks: what this is about is there as soon as the collectors have run."""
    targets = "".join(
        f"  - {{name: {name}, engine: postgres, url: '{server.url('watcher')}'}}\n" for name, server in servers.items()
    )
    gone = f"  - {{name: {GONE}, engine: postgres, url: 'postgresql://watcher@127.0.0.1:1/postgres'}}\n"
    return f"defaults:\n  checks: {{disable: ['*']}}\ntargets:\n{targets}{gone}"


def _of_others(page: Mapping[str, Scraped]) -> Mapping[str, Scraped]:
    """Without the sessions of the two that look, since each leaves out its own, and one that waits now and then."""
    return without(page, lambda labels: labels.get("application_name") in (OURS, THEIRS, BUSY))
