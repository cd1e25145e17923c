"""dbwatch beside the exporters people run today, on the same servers, in one run. Writes build/bench/exporters.json."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import pytest

from dbwatch.lanes import FACTS_AGE_SECONDS
from tests.bench import ground
from tests.bench.contest import HOUR, Page, Result, contest
from tests.bench.meter import Scraper, Spent
from tests.bench.notes import write
from tests.bench.passes import SCRAPES_AN_HOUR, SESSIONS_AN_HOUR, Asked, Asker, exporter_cost
from tests.compat.exporters import Exporter
from tests.compat.postgres_allowances import OFF_BY_DEFAULT
from tests.harness.daemon import Daemon
from tests.harness.postgres import Postgres
from tests.harness.redis import RedisServer
from tests.postgres.scale import town

MAJOR = 18
STATEMENTS = 500
KEYS = 100_000
LARGEST = 10_000
ROUNDS, AT_ONCE = 16, 16
PAUSE_SECONDS = 5.0
PASSES = 5
AT_THE_LARGEST = {"rounds": 5, "at_once": 2, "passes": 3}
"""There one scrape of the exporter takes many seconds."""
FASTER, CHEAPER_FOR_THE_SERVER = 50, 20
SLOWEST_SECONDS = 0.1
_CONNECTIONS = "select usename, count(*)::int from pg_stat_activity where usename <> 'postgres' group by 1"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tables", [100, 1_000, LARGEST])
def test_postgres(tables: int) -> None:
    usual = {"rounds": ROUNDS, "at_once": AT_ONCE, "passes": PASSES}
    often = AT_THE_LARGEST if tables >= LARGEST else usual
    with ExitStack() as running:
        pg = running.enter_context(Postgres(MAJOR, settings=town.SETTINGS))
        ground.fill_postgres(pg, tables, STATEMENTS)
        url = pg.url("exporter", ground.DATABASE, application_name="exporter", sslmode="disable")
        env = {"DATA_SOURCE_NAME": url}
        plain = running.enter_context(Exporter("postgres_exporter", env=env))
        full = running.enter_context(
            Exporter("postgres_exporter", [f"--collector.{name}" for name in OFF_BY_DEFAULT], env=env)
        )
        begun, asked, scrapes = _server_cost(pg, {"plain": plain, "full": full}, often["passes"])
        daemon = running.enter_context(Daemon([pg.url("dbwatch", ground.DATABASE)]))
        daemon.wait_ready(timeout=120)
        connections = pg.sql(
            "select usename, count(*)::int from pg_stat_activity where usename <> 'postgres' group by 1"
        )
        results = contest(
            [
                Page("postgres_exporter", plain.url, plain.pid),
                Page("postgres_exporter, all we supply", full.url, full.pid),
                Page("dbwatch /metrics", f"{daemon.url}/metrics", daemon.pid),
                Page("dbwatch /compat/postgres_exporter", f"{daemon.url}/compat/postgres_exporter", daemon.pid),
            ],
            rounds=often["rounds"],
            at_once=often["at_once"],
            pause_seconds=PAUSE_SECONDS,
        )
    cost = _cost(begun, asked, scrapes)
    write("exporters", f"postgres {tables}", {**_told(results), "server": cost, "connections": dict(connections)})
    _judge(results, cost, tables)


def _judge(results: Sequence[Result], cost: Mapping[str, object], tables: int) -> None:
    _, full, _, compat = results
    if tables >= 1_000:
        assert full.paced_p50_seconds > FASTER * compat.paced_p50_seconds
        assert full.cpu_seconds > FASTER * compat.cpu_seconds
    ours, theirs = cost["ours_seconds_an_hour"], cost["full_seconds_an_hour"]
    assert isinstance(ours, float)
    assert isinstance(theirs, float)
    if tables >= 1_000:
        assert ours * CHEAPER_FOR_THE_SERVER < theirs
    slowest = cost["ours_slowest_seconds"]
    assert isinstance(slowest, float)
    assert slowest < SLOWEST_SECONDS


@pytest.mark.timeout(600)
def test_redis() -> None:
    with ExitStack() as running:
        server = running.enter_context(RedisServer("redis-8.0"))
        ground.fill_redis(server, KEYS)
        args = [f"--redis.addr=redis://127.0.0.1:{server.port}"]
        exporter = running.enter_context(Exporter("redis_exporter", args))
        daemon = running.enter_context(Daemon([server.url()]))
        daemon.wait_ready(timeout=60)
        results = contest(
            [
                Page("redis_exporter", exporter.url, exporter.pid),
                Page("dbwatch /metrics", f"{daemon.url}/metrics", daemon.pid),
                Page("dbwatch /compat/redis_exporter", f"{daemon.url}/compat/redis_exporter", daemon.pid),
            ],
            rounds=ROUNDS,
            at_once=AT_ONCE,
            pause_seconds=PAUSE_SECONDS,
        )
    write("exporters", f"redis {KEYS}", _told(results))
    exporter_page, _, compat = results
    assert compat.paced_p50_seconds < exporter_page.paced_p50_seconds


def _server_cost(
    pg: Postgres, exporters: Mapping[str, Exporter], passes: int
) -> tuple[Spent, list[Asked], Mapping[str, list[Spent]]]:
    """Some passes of ours, with scrapes of the exporters between our questions."""
    scrapers = {name: Scraper(exporter.url) for name, exporter in exporters.items()}
    scrapes: dict[str, list[Spent]] = {name: [] for name in exporters}

    def between() -> None:
        for name, scraper in scrapers.items():
            scrapes[name].append(exporter_cost(pg, scraper.scrape))

    asker = Asker(pg)
    try:
        asker.ask_all(lambda: None)  # the first reads the catalogs from disk
        between()
        for taken in scrapes.values():
            taken.clear()
        begun = asker.begin_anew()
        asked = asker.asked([asker.ask_all(between) for _ in range(passes)])
    finally:
        asker.close()
        for scraper in scrapers.values():
            scraper.close()
    return begun, asked, scrapes


def _cost(begun: Spent, asked: Sequence[Asked], scrapes: Mapping[str, list[Spent]]) -> Mapping[str, object]:
    checks = [each for each in asked if not each.is_collector]
    collectors = [each for each in asked if each.is_collector]
    # A session reads the facts when it begins, and again every so often.
    session = begun.seconds * (SESSIONS_AN_HOUR + HOUR / FACTS_AGE_SECONDS)
    told: dict[str, object] = {
        "ours_seconds_an_hour": session + sum(each.seconds_an_hour for each in asked),
        "checks_seconds_an_hour": sum(each.seconds_an_hour for each in checks),
        "collectors_seconds_an_hour": sum(each.seconds_an_hour for each in collectors),
        "ours_statements_an_hour": sum(each.statements_an_hour for each in asked),
        "ours_slowest_seconds": max(each.slowest_seconds for each in asked),
        "ours_temp_blocks": max(each.temp_blocks for each in asked),
        "dearest": [
            {
                "name": each.name,
                "every": each.every_seconds,
                "an_hour": each.seconds_an_hour,
                "runs": [run.seconds for run in each.runs],
            }
            for each in sorted(asked, key=lambda each: -each.seconds_an_hour)[:25]
        ],
        "slowest": [
            {"name": each.name, "seconds": [run.slowest_seconds for run in each.runs]}
            for each in sorted(asked, key=lambda each: -each.slowest_seconds)[:8]
        ],
    }
    for name, spent in scrapes.items():
        told[f"{name}_seconds_an_hour"] = SCRAPES_AN_HOUR * sum(each.seconds for each in spent) / len(spent)
        told[f"{name}_statements_an_hour"] = SCRAPES_AN_HOUR * sum(each.statements for each in spent) / len(spent)
        told[f"{name}_temp_blocks"] = max(each.temp_blocks for each in spent)
        told[f"{name}_slowest_seconds"] = statistics.median(each.slowest_seconds for each in spent)
    return told


def _told(results: Sequence[Result]) -> dict[str, object]:
    return {"pages": [result.document() for result in results]}
