"""The compatibility page of postgres_exporter against the real one, on every supported major and a standby."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from dbwatch.bundled import bundled
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.catalogue.families import Exporter as Known
from dbwatch.exposition.compat.own import OWN
from tests.compat import recording
from tests.compat.collecting import collected
from tests.compat.comparison import Aspect, Difference, allowed, compare
from tests.compat.exporters import exporter_program
from tests.compat.postgres_allowances import ALLOWANCES
from tests.compat.postgres_rig import EXPORTER, GONE, Look, looked_at
from tests.compat.postgres_rules import PRIMARY_RULES, RULES
from tests.compat.scraped import Scraped, read_page
from tests.conftest import wanted_majors
from tests.harness.prometheus import Prometheus
from tests.harness.waiting import eventually

DROPPED = tuple(
    allowed(pattern, reason, Aspect.MISSING)
    for pattern, reason in load_collectors([bundled("checks")]).exporters[Known.POSTGRES].dropped.items()
)


@pytest.fixture(scope="module")
def look(postgres_majors: tuple[int, ...]) -> Iterator[Look]:
    exporter_program(EXPORTER)
    with looked_at(postgres_majors) as found:
        yield found


def test_every_difference_has_its_reason(look: Look) -> None:
    unexplained: list[str] = []
    needed: set[str] = set()
    for server, seen in look.servers.items():
        for difference in compare(seen.before, seen.ours, seen.after):
            reasons = [known.families for known in (*ALLOWANCES, *DROPPED) if known.covers(difference)]
            needed.update(reasons)
            if not reasons:
                unexplained.append(f"{server}: {difference}")
    assert unexplained == []
    if set(wanted_majors()) <= set(_majors(look)) and "DBWATCH_PG_MAJORS" not in os.environ:
        # Values that move by themselves may be equal for once.
        lasting = {known.families for known in ALLOWANCES if Aspect.VALUES not in known.aspects}
        stale = lasting - needed
        assert stale == set(), "differences that are no more: take them out of the allowances"


def test_the_recording_is_what_the_exporter_shows(look: Look) -> None:
    recorded = recording.load(EXPORTER)
    if not look.version.startswith(recorded.version):
        pytest.skip(f"{EXPORTER} {recorded.version} was recorded, this is {look.version}")
    wrong = recording.differences(recorded, {server: seen.before for server, seen in look.servers.items()})
    assert wrong == [], "python -m tests.compat.record postgres_exporter"


def test_the_page_of_all_servers_is_the_pages_of_each(look: Look) -> None:
    """Side by side they are told apart by `target`, and nothing else changes."""
    together = read_page(look.daemon.get(f"/compat/{EXPORTER}").text)
    for server in look.servers:
        alone = read_page(look.daemon.get(f"/compat/{EXPORTER}/{server}").text)
        for name in ("pg_up", "pg_static", "pg_stat_database_numbackends", "pg_settings_max_connections"):
            own = {key - {("target", server)} for key in together[name].samples if ("target", server) in key}
            assert own == set(alone[name].samples), (server, name)
    assert {dict(key).get("target") for key in together["pg_up"].samples} == {*look.servers, GONE}


def test_a_role_with_pg_monitor_is_enough(look: Look) -> None:
    for server, seen in look.servers.items():
        failed = [
            dict(key) for key, success in seen.ours["pg_scrape_collector_success"].samples.items() if success != 1
        ]
        assert failed == [], server


def test_a_server_that_is_gone_is_down_and_nothing_else(look: Look) -> None:
    page = eventually(
        lambda: found if "pg_scrape_collector_success" in (found := _page_of(look, GONE)) else {},
        what="a collector has tried",
    )
    assert page["pg_up"].samples == {frozenset(): 0.0}
    assert page["pg_exporter_last_scrape_error"].samples == {frozenset(): 1.0}
    assert set(page["pg_scrape_collector_success"].samples.values()) == {0.0}
    own = {family.name for family in OWN[Known.POSTGRES]}
    assert set(page) <= own


def test_public_rules_have_an_answer(look: Look, tmp_path: Path) -> None:
    """What rules and dashboards made for the exporter ask, in a real Prometheus that scrapes our pages only."""
    newest = max((name for name in look.servers if "-" not in name), key=lambda name: int(name.removeprefix("pg")))
    pages = [f"{EXPORTER}/{newest}", EXPORTER, *(f"{EXPORTER}/{name}" for name in look.servers if "-" in name)]
    targets = [f"127.0.0.1:{look.daemon.port}/compat/{page}" for page in pages]
    asked = {
        f"answer{job}_{number}": (pages[job], rule.replace("JOB", f'job="job{job}"'))
        for job in range(len(pages))
        for number, rule in enumerate((*RULES, *(PRIMARY_RULES if job < 2 else ())))
    }
    rules = tmp_path / "rules.yml"
    recorded = [{"record": name, "expr": rule} for name, (_, rule) in asked.items()]
    rules.write_text(yaml.safe_dump({"groups": [{"name": "public", "rules": recorded}]}), encoding="utf-8")
    silent = dict(asked)
    with Prometheus(targets, rule_files=[rules]) as prometheus:

        def all_answered() -> bool:
            for answer in prometheus.query('count by (__name__) ({__name__=~"answer.+"})'):
                silent.pop(answer["metric"]["__name__"], None)
            return not silent

        with suppress(TimeoutError):
            eventually(all_answered, timeout=30, every=0.5)
        kinds = prometheus.api("metadata", metric="pg_stat_database_xact_commit")["pg_stat_database_xact_commit"]
    assert list(silent.values()) == []
    assert {kind["type"] for kind in kinds} == {"counter"}


def test_a_difference_is_seen() -> None:
    """The comparison can fail: each aspect is found where it is put."""
    head = "# TYPE a gauge\n# TYPE b counter\n# TYPE c gauge\n"
    before = read_page(head + 'a{x="1"} 1\nb 5\nc 1\n')
    after = read_page(head + 'a{x="1"} 1\nb 9\nc 1\n')

    def found(ours: str) -> list[tuple[str, Aspect]]:
        return [(seen.family, seen.aspect) for seen in compare(before, read_page(ours), after)]

    assert found(head + 'a{x="1"} 1\nb 7\nc 1\n') == []
    assert found(head + 'a{x="1"} 1\nb 4\nc 1\n') == [("b", Aspect.VALUES)]
    assert found(head + 'a{x="1"} 1\nb 10\nc 1\n') == [("b", Aspect.VALUES)]
    assert found(head + 'a{x="2"} 1\nb 7\nc 1\n') == [("a", Aspect.FEWER), ("a", Aspect.MORE)]
    assert found(head + 'a{y="1"} 1\nb 7\nc 1\n') == [("a", Aspect.LABELS)]
    assert found("# TYPE a gauge\n# TYPE b gauge\n# TYPE d gauge\n" + 'a{x="1"} 1\nb 7\nd 1\n') == [
        ("b", Aspect.TYPE),
        ("c", Aspect.MISSING),
        ("d", Aspect.EXTRA),
    ]
    assert not allowed("b", "", Aspect.VALUES, slack=3).covers(Difference("b", Aspect.VALUES, "", by=4))


def test_a_standby_that_is_cut_off_is_not_caught_up(look: Look) -> None:
    """The last test: it takes the standby's primary away. What the exporter goes by then says that all is well."""
    standby = next((server for name, server in look.running.items() if name.endswith("-standby")), None)
    if standby is None:
        pytest.skip("the newest major is not among those wanted")
    (streaming,) = collected(standby, "replication").rows
    assert (streaming.values["is_replica"], streaming.values["lag_seconds"]) == (1.0, 0.0)
    standby.sql("alter system set primary_conninfo = ''")
    standby.sql("select pg_reload_conf()")
    eventually(lambda: not standby.sql("select from pg_stat_wal_receiver"), what="the receiver is gone")
    assert standby.sql("select pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()") == [(True,)]
    (cut_off,) = collected(standby, "replication").rows
    assert (cut_off.values["lag_seconds"] or 0) > 0
    assert cut_off.values["lag"] == cut_off.values["lag_seconds"]


def _page_of(look: Look, target: str) -> Mapping[str, Scraped]:
    return read_page(look.daemon.get(f"/compat/{EXPORTER}/{target}").text)


def _majors(look: Look) -> list[int]:
    return [int(name.removeprefix("pg")) for name in look.servers if "-" not in name]
