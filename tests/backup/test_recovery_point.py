"""How far a cluster can be recovered, with a real server that archives: idle, busy, broken, discarding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue.loader import load_catalogue
from dbwatch.config import Target
from dbwatch.config.backups import Backups, Pgbackrest
from dbwatch.config.loader import target_from_url
from dbwatch.engines import Engines
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Outcome, Reason, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.harness.cluster import UNTOUCHED
from tests.harness.postgres import Postgres
from tests.harness.process import remove_dir, server_dir
from tests.harness.recorded import recorded_info
from tests.harness.waiting import eventually

WRITE = "select pg_logical_emit_message(true, 'x', repeat('x', 100000))"


@dataclass(slots=True)
class Watched:
    """A server, what it archived, and dbwatch beside it: one process, two lanes."""

    pg: Postgres
    place: Path
    recorded: Path
    server: Lane
    backups: Lane

    def archived(self) -> list[str]:
        return sorted(file.name for file in self.place.glob("????????????????????????"))

    def record(self, *, last: str | None = None) -> None:
        """What pgBackRest would say of an archive that ends here, with a full backup that began it."""
        ((identifier,),) = self.pg.sql("select system_identifier::text from pg_control_system()")
        archived = self.archived()
        self.recorded.write_text(recorded_info(int(identifier), first=archived[0], last=last or archived[-1]))

    def switch(self) -> None:
        """End the present file of log and wait until it is archived."""
        before = len(self.archived())
        self.pg.sql("select pg_switch_wal()")
        eventually(lambda: len(self.archived()) > before, timeout=30, what="the log is archived")
        counted = "select last_archived_wal from pg_stat_archiver"
        eventually(lambda: self.pg.sql(counted) == [(self.archived()[-1],)], timeout=30, what="the server knows it")

    def ask(self, check: str = "recovery_point_old") -> Outcome:
        told = self.server.run("archiver_failing")
        assert told.answered, told
        return self.backups.run(check)

    def values(self) -> tuple[float | None, float | None, float | None]:
        outcome = self.ask()
        (row,) = outcome.rows
        return row.values["age_seconds"], row.values["overdue_seconds"], row.values["unarchived_bytes"]


@pytest.fixture
def watched() -> Iterator[Callable[[], Watched]]:
    place = server_dir("archive")
    made: list[Watched] = []
    watchdog = Watchdog()
    settings = {**UNTOUCHED, "archive_mode": "on", "archive_command": f"cp %p {place}/%f", "wal_level": "logical"}
    with Postgres(18, settings=settings) as pg:
        pg.create_monitor_role()
        checks = load_catalogue([bundled("checks")])
        recorded = place / "info.json"

        def start() -> Watched:
            """A daemon that begins now: it has seen nothing of what was before."""
            engines, store = Engines(), Store()
            server = target_from_url(pg.url("dbwatch"))
            tools = Backups(pgbackrest=(Pgbackrest("main", recorded=recorded),))
            target = Target(name="kept", engine=Engine.BACKUP, backups=tools)
            lanes = [
                Lane(one, engines.adapter(one.engine), list(checks.of(one.engine)), store, watchdog)
                for one in (server, target)
            ]
            made.append(Watched(pg, place, recorded, *lanes))
            return made[-1]

        try:
            yield start
        finally:
            for one in made:
                one.server.close()
                one.backups.close()
            watchdog.close()
            remove_dir(place)


def test_the_recovery_point_follows_what_is_written_and_what_is_archived(watched: Callable[[], Watched]) -> None:
    first = watched()
    first.pg.sql(WRITE)
    first.switch()
    first.record()
    assert first.values()[:2] == (0.0, 0.0), "nothing was written since the last archived file"
    first.pg.sql("checkpoint")
    assert first.values()[:2] == (0.0, 0.0), "a checkpoint of its own is nothing"

    first.pg.sql(WRITE)
    age, overdue, unarchived = first.values()
    assert age is not None
    assert age > 0
    assert overdue == 0, "without archive_timeout a file that is not full is not due"
    assert unarchived is not None
    assert 100_000 < unarchived < 2_000_000
    later = first.values()[0]
    assert later is not None
    assert later > age, "and it grows while nothing is archived"

    # A daemon that begins now did not see when it was written: the server's own account has to do.
    second = watched()
    begun = second.values()[0]
    assert begun is not None
    assert begun > 0

    first.switch()
    first.record()
    first.backups.close()
    again = watched()
    assert again.values()[:2] == (0.0, 0.0)


def test_an_archive_that_gets_nothing_is_told_from_one_that_is_slow(
    watched: Callable[[], Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = watched()
    one.pg.sql(WRITE)
    one.switch()
    one.pg.sql(WRITE)
    one.switch()
    one.record(last=one.archived()[0])
    assert one.ask("wal_archive_gap").status is Status.OK, "it was handed over a moment ago"
    monkeypatch.setattr("dbwatch.engines.backup.probes.chain.ON_ITS_WAY_SECONDS", 0.0)
    late = watched()
    late.record(last=late.archived()[0])
    (finding,) = late.ask("wal_archive_gap").findings
    assert finding.values["behind_bytes"] == 16 * 2**20
    late.record()
    assert watched().ask("wal_archive_gap").status is Status.OK

    # No log goes anywhere any more, and the server believes it does.
    one.pg.configure(archive_command="/bin/true")
    said = eventually(lambda: one.server.run("archiver_failing").findings, what="the command is seen through")
    assert "does nothing" in said[0].message
    one.pg.sql(WRITE)
    one.pg.sql("select pg_switch_wal()")
    age = one.values()[0]
    assert age is not None
    assert age > 0


def test_a_server_that_nobody_watches_leaves_it_unknown(watched: Callable[[], Watched]) -> None:
    one = watched()
    one.pg.sql(WRITE)
    one.switch()
    one.record()
    outcome = one.backups.run("recovery_point_old")
    assert (outcome.status, outcome.reason) == (Status.SKIPPED, Reason.SETTING)
    assert "known to its server only" in outcome.summary
