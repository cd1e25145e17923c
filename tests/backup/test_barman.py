"""Barman itself, in good and bad order: what the source makes of what it says, and what the checks say then.

One server and one catalogue serve all tests; what a test ruins is a copy.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dbwatch.config.backups import Barman
from dbwatch.engines.backup.record import Kind, Seen, State
from dbwatch.errors import CheckError
from tests.backup.asking import AS_SERVER_USER, DAY, see, see_and_judge, verdicts
from tests.harness.barman import PASSWORD, SERVER, Catalogue
from tests.harness.postgres import Postgres
from tests.harness.process import remove_dir, server_dir
from tests.harness.waiting import eventually

MAJOR = 15


@dataclass(frozen=True, slots=True)
class Grounds:
    """A server whose log goes to a catalogue that holds a backup."""

    pg: Postgres
    place: Path
    catalogue: Catalogue


@pytest.fixture(scope="module")
def grounds() -> Iterator[Grounds]:
    place = server_dir("barman")
    try:
        with Postgres(MAJOR, settings={"archive_mode": "on", "wal_level": "replica"}) as pg:
            catalogue = Catalogue(place / "whole", pg)
            catalogue.create()
            pg.configure(archive_command=catalogue.archive_command)
            pg.sql("CREATE TABLE written ()")
            pg.sql("SELECT pg_switch_wal()")
            archived = "SELECT 1 FROM pg_stat_archiver WHERE archived_count > 0"
            eventually(lambda: pg.sql(archived), what="log is archived")
            catalogue.backup()
            yield Grounds(pg, place, catalogue)
    finally:
        remove_dir(place)  # not before the server's end, which writes there


@pytest.fixture
def catalogue(grounds: Grounds, request: pytest.FixtureRequest) -> Catalogue:
    """A copy to ruin."""
    return grounds.catalogue.copy(grounds.place / request.node.name.removeprefix("test_"))


def server(catalogue: Catalogue) -> Seen:
    return see(of_server(catalogue))


def of_server(catalogue: Catalogue, name: str = SERVER) -> Barman:
    return Barman(name, (*AS_SERVER_USER, "barman"), catalogue.config_file)


def test_healthy(grounds: Grounds) -> None:
    seen, said = see_and_judge(of_server(grounds.catalogue))
    assert said == {}
    (backup,) = seen.backups
    assert (backup.kind, backup.state) == (Kind.FULL, State.DONE)
    assert backup.started_at_seconds is not None
    assert backup.finished_at_seconds is not None
    assert backup.started_at_seconds <= backup.finished_at_seconds <= time.time() + 1
    assert (backup.size_bytes or 0) > 10_000_000
    assert backup.first_wal is not None
    assert seen.archives is not None
    assert seen.archives[0].last_wal is not None
    assert seen.archives[0].last_wal >= backup.first_wal
    assert (seen.repositories[0].problem, seen.troubles, seen.running) == (None, (), ())
    assert PASSWORD not in repr(seen)


def test_no_such_server(grounds: Grounds) -> None:
    said = verdicts(of_server(grounds.catalogue, "another"))
    assert set(said) == {"backup_failed", "backup_stale"}
    assert said["backup_failed"] == "critical: barman another: Barman has no server another: Unknown server 'another'"


def test_retention_and_a_stamp_of_the_future(catalogue: Catalogue) -> None:
    catalogue.configure(retention_policy="REDUNDANCY 2", minimum_redundancy="2")
    catalogue.shift(48)
    seen = server(catalogue)
    assert (seen.backups[0].finished_at_seconds or 0) > time.time() + DAY
    assert seen.retention[0].full_backups == 2
    (trouble,) = seen.troubles
    assert trouble.text == "minimum redundancy requirements: have 1 backups, expected at least 2"
    assert not trouble.failed


def test_half_written_then_failed(catalogue: Catalogue) -> None:
    catalogue.configure(bandwidth_limit="100")
    process = catalogue.start_backup()
    half = catalogue.backups()[-1]
    while_running = server(catalogue)
    catalogue.kill(process)
    assert [backup.state for backup in while_running.backups] == [State.RUNNING, State.DONE]
    assert while_running.backups[0].label == half
    (running,) = while_running.running
    assert running.since_seconds == pytest.approx(time.time(), abs=120)

    catalogue.fail(catalogue.start_backup())
    failed = catalogue.backups()[-1]
    said = verdicts(of_server(catalogue))
    assert set(said) == {"backup_failed"}
    assert said["backup_failed"].startswith(f"critical: barman main: {failed} failure copying files")
    assert f"{half} never finished: a later one has been started" in said["backup_failed"]


def test_a_catalogue_that_may_not_be_read(catalogue: Catalogue) -> None:
    if not AS_SERVER_USER:
        pytest.skip("the owner can still read it")
    shutil.chown(catalogue.home / "base", user=0)
    (catalogue.home / "base").chmod(0)
    seen = server(catalogue)
    assert seen.backups == ()
    assert "not readable for its user" in str(seen.repositories[0].problem)


def test_a_catalogue_that_is_gone(catalogue: Catalogue) -> None:
    shutil.rmtree(catalogue.home)
    seen = see(Barman(SERVER, ("barman",), catalogue.config_file))
    assert "its catalogue is gone" in str(seen.repositories[0].problem)
    assert seen.archives is None
    assert "wal archive: please make sure WAL shipping is setup" in {trouble.text for trouble in seen.troubles}
    owner = catalogue.config_file.stat().st_uid
    assert {path.stat().st_uid for path in catalogue.home.rglob("*")} == {owner}, "root left files of its own"


def test_a_configuration_that_is_not_there(grounds: Grounds) -> None:
    with pytest.raises(CheckError, match=r"barman ended with 1: Configuration file .* does not exist"):
        see(Barman(SERVER, config_file=grounds.place / "nowhere.conf"))


def test_archiving_that_fails(grounds: Grounds) -> None:
    """The catalogue does not miss log that never came, but Barman asks the server too."""
    grounds.pg.configure(archive_command="false")
    try:
        grounds.pg.sql("CREATE TABLE written_in_vain ()")
        grounds.pg.sql("SELECT pg_switch_wal()")
        failing = "SELECT last_failed_wal FROM pg_stat_archiver WHERE failed_count > 0"
        ((failed,),) = eventually(lambda: grounds.pg.sql(failing), what="the archiver fails")
        seen = server(grounds.catalogue)
    finally:
        grounds.pg.configure(archive_command=grounds.catalogue.archive_command)
    assert seen.archives
    assert str(seen.archives[0].last_wal) < failed
    assert [(t.text, t.failed) for t in seen.troubles] == [("continuous archiving: FAILED", True)]
