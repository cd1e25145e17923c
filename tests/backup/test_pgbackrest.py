"""pgBackRest itself, in good and bad order: what the source makes of what it says, and what the checks say then.

One server and one repository serve all tests; what a test ruins is a copy.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dbwatch.config.backups import Pgbackrest, Schedule
from dbwatch.engines.backup.record import Kind, Seen, State
from dbwatch.errors import CheckError
from dbwatch.model import Reason
from tests.backup.asking import AS_SERVER_USER, DAY, see, verdicts
from tests.harness.backups import copy_owned
from tests.harness.pgbackrest import NEWEST_MAJOR, STANZA, Repository
from tests.harness.postgres import Postgres
from tests.harness.process import remove_dir, server_dir
from tests.harness.waiting import eventually

CIPHER = "repository-s3cret"
ONCE_A_DAY = Schedule()


@dataclass(frozen=True, slots=True)
class Grounds:
    """A server whose log goes to a repository that holds backups of every type."""

    pg: Postgres
    place: Path
    repository: Repository


@pytest.fixture(scope="module")
def grounds() -> Iterator[Grounds]:
    place = server_dir("pgbackrest")
    try:
        with Postgres(NEWEST_MAJOR, settings={"archive_mode": "on", "wal_level": "replica"}) as pg:
            repository = Repository(place / "whole", pg)
            pg.configure(archive_command=repository.archive_command)
            repository.run("stanza-create")
            for kind in ("full", "full", "diff", "incr"):
                repository.backup(kind)
            yield Grounds(pg, place, repository)
    finally:
        remove_dir(place)  # not before the server's end, which writes there


@pytest.fixture
def repository(grounds: Grounds, request: pytest.FixtureRequest) -> Repository:
    """A copy to ruin."""
    return grounds.repository.copy(grounds.place / request.node.name.removeprefix("test_"))


def stanza(repository: Repository, name: str = STANZA) -> Seen:
    return see(of_stanza(repository, name))


def of_stanza(repository: Repository, name: str = STANZA, schedule: Schedule = ONCE_A_DAY) -> Pgbackrest:
    return Pgbackrest(name, (*AS_SERVER_USER, "pgbackrest"), repository.config_file, schedule=schedule)


def test_healthy(grounds: Grounds) -> None:
    seen = stanza(grounds.repository)
    assert [backup.kind for backup in seen.backups] == [
        Kind.FULL,
        Kind.FULL,
        Kind.DIFFERENTIAL,
        Kind.INCREMENTAL,
    ]
    assert [repository.name for repository in seen.repositories] == ["repo1"]
    assert (seen.repositories[0].problem, seen.repositories[0].unreachable) == (None, None)
    assert (seen.gaps, seen.running, seen.troubles) == ((), (), ())
    identifier = str(grounds.pg.sql("SELECT system_identifier FROM pg_control_system()")[0][0])
    assert seen.system_identifier == identifier
    last = seen.backups[-1]
    assert last.state is State.DONE
    assert last.damage is None
    assert last.reference == seen.backups[-2].label
    assert last.size_bytes is not None
    assert last.stored_bytes is not None
    assert last.stored_bytes < last.size_bytes / 10 < last.size_bytes
    assert last.started_at_seconds is not None
    assert last.finished_at_seconds is not None
    assert last.started_at_seconds <= last.finished_at_seconds <= time.time() + 1
    assert seen.archives is not None
    (archive,) = seen.archives
    assert archive.system_identifier == identifier
    assert archive.last_wal is not None
    assert last.last_wal is not None
    assert archive.last_wal >= last.last_wal
    assert seen.as_of_seconds == pytest.approx(time.time(), abs=60)
    assert verdicts(of_stanza(grounds.repository)) == {}


def test_root_leaves_no_file_of_its_own(repository: Repository) -> None:
    before = sorted(repository.place.rglob("*"))
    see(Pgbackrest(STANZA, ("pgbackrest",), repository.config_file))
    assert sorted(repository.place.rglob("*")) == before


def test_no_such_stanza(grounds: Grounds) -> None:
    seen = stanza(grounds.repository, "another")
    assert (seen.backups, seen.archives) == ((), ())
    assert "has no stanza another" in str(seen.repositories[0].problem)
    said = verdicts(of_stanza(grounds.repository, "another"))
    assert set(said) == {"backup_failed", "backup_stale"}
    assert said["backup_failed"].startswith("critical: pgbackrest another repo1: the repository has no stanza another")
    assert said["backup_stale"].startswith("critical: never a backup of any kind of another in repo1")


def test_a_repository_whose_path_is_gone(repository: Repository) -> None:
    shutil.rmtree(repository.repo())
    seen = stanza(repository)
    assert seen.backups == ()
    assert "the repository's path is gone" in str(seen.repositories[0].problem)
    said = verdicts(of_stanza(repository))
    assert said["backup_failed"].startswith("critical: ")
    assert said["backup_stale"].startswith("critical: never a backup")


def test_a_repository_that_may_not_be_read(repository: Repository) -> None:
    (repository.repo() / "backup" / STANZA).chmod(0)
    if not AS_SERVER_USER:
        pytest.skip("the owner can still read it")
    repository.repo().chmod(0)
    for path in (repository.repo(), repository.repo() / "backup" / STANZA):
        shutil.chown(path, user=0)
    seen = stanza(repository)
    assert seen.repositories[0].problem is None
    assert "cannot be read: [PathOpenError]" in str(seen.repositories[0].unreachable)
    assert "Permission denied" in str(seen.repositories[0].unreachable)
    said = verdicts(of_stanza(repository))
    assert said["backup_failed"].startswith("critical: pgbackrest main repo1: the repository cannot be read")
    assert said["backup_stale"] == "unknown: no repository can be looked at; backup_failed says why"


def test_a_repository_that_is_damaged(repository: Repository) -> None:
    for name in ("backup.info", "backup.info.copy"):
        path = repository.repo() / "backup" / STANZA / name
        path.write_text(path.read_text().replace("[backup:current]", "[cipher]\ncipher-pass=inner-s3cret\n[db"))
    seen = stanza(repository)
    assert "damaged: [FormatError]" in str(seen.repositories[0].problem)
    assert "s3cret" not in repr(seen)


def test_two_repositories_and_one_is_gone(grounds: Grounds, repository: Repository) -> None:
    copy_owned(repository.repo(1), repository.repo(2))
    two = Repository(repository.place, grounds.pg, repositories=2)
    assert {backup.repository for backup in stanza(two).backups} == {"repo1", "repo2"}
    shutil.rmtree(two.repo(2))
    seen = stanza(two)
    assert {backup.repository for backup in seen.backups} == {"repo1"}
    assert seen.repositories[0].problem is None
    assert "repository repo2 has no stanza main" in str(seen.repositories[1].problem)
    said = verdicts(of_stanza(two))
    assert said["backup_failed"].startswith("critical: pgbackrest main repo2: ")
    assert "in repo2" in said["backup_stale"]
    assert "in repo1" not in said["backup_stale"]


def test_two_repositories_and_one_is_old(grounds: Grounds, repository: Repository) -> None:
    """A dead repository must not hide behind a living one."""
    copy_owned(repository.repo(), repository.repo(2))
    repository.shift(-10 * DAY, number=2)
    two = Repository(repository.place, grounds.pg, repositories=2)
    seen = stanza(two)
    newest = {
        name: max(b.finished_at_seconds or 0.0 for b in seen.backups if b.repository == name)
        for name in ("repo1", "repo2")
    }
    assert newest["repo1"] - newest["repo2"] == 10 * DAY
    (said,) = verdicts(of_stanza(two)).values()
    assert re.match(r"critical: the last backup of any kind of main in repo2 .* is 10 days old", said)


def test_expired(repository: Repository) -> None:
    first = stanza(repository).backups[0]
    repository.configure(repo1_retention_full="1")
    repository.run("expire")
    seen = stanza(repository)
    assert [backup.kind for backup in seen.backups] == [Kind.FULL, Kind.DIFFERENTIAL, Kind.INCREMENTAL]
    assert first.label not in {backup.label for backup in seen.backups}
    assert seen.archives is not None
    assert seen.archives[0].first_wal == seen.backups[0].first_wal, "log before the oldest backup went with it"
    assert seen.gaps == ()
    # A cluster so young owes no second weekly backup; of one every second it does.
    promise = Schedule(every=1, full_every=1, keep=2)
    said = verdicts(of_stanza(repository, schedule=promise))
    assert "the configuration promises 2 of them" in said["backup_retention_violated"]
    enough = verdicts(of_stanza(repository, schedule=replace(promise, keep=1)))
    assert "backup_retention_violated" not in enough


def test_half_written(repository: Repository) -> None:
    whole = stanza(repository).backups
    process = repository.freeze_half_way("full", "--no-archive-check")
    frozen = stanza(repository)
    repository.kill(process)
    assert len(frozen.running) == 1
    assert frozen.backups == whole
    seen = stanza(repository)
    assert seen.running == ()
    assert seen.backups == whole, "what was half written is no backup"
    assert verdicts(of_stanza(repository)) == {}, "the backups before it are still good"


def test_a_stamp_of_the_future(repository: Repository) -> None:
    repository.shift(2 * DAY)
    assert all((backup.finished_at_seconds or 0) > time.time() + DAY for backup in stanza(repository).backups)
    said = verdicts(of_stanza(repository))
    assert "is dated in the future: are the clocks right?" in said["backup_failed"]
    assert said["backup_stale"].startswith("critical: never a backup"), "what is not yet proves nothing"


def test_a_backup_that_is_late(repository: Repository) -> None:
    repository.shift(-3 * DAY)
    (said,) = verdicts(of_stanza(repository)).values()
    assert re.match(r"critical: the last backup of any kind of main in repo1 .* is 3 days old", said)


def test_pages_with_wrong_checksums(repository: Repository) -> None:
    repository.rewrite(lambda entry: entry.update({"backup-error": True}))
    assert {backup.damage for backup in stanza(repository).backups} == {"pages with wrong checksums"}
    assert "has pages with wrong checksums" in verdicts(of_stanza(repository))["backup_failed"]


def test_the_log_a_backup_needs_is_lost(repository: Repository) -> None:
    last = stanza(repository).backups[-1]
    assert last.last_wal is not None
    for file in (repository.repo() / "archive").rglob(f"{last.last_wal[:8]}*-*"):
        if file.name[:24] >= last.last_wal:
            file.unlink()
    (gap,) = stanza(repository).gaps
    assert gap.repository == "repo1"
    assert f"{last.label} needs the log up to {last.last_wal}" in gap.text
    assert verdicts(of_stanza(repository)) == {"wal_archive_gap": f"critical: pgbackrest main repo1: {gap.text}"}


def test_encrypted(grounds: Grounds, request: pytest.FixtureRequest) -> None:
    options = {"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": CIPHER}
    repository = Repository(grounds.place / request.node.name.removeprefix("test_"), grounds.pg, options=options)
    repository.run("stanza-create")
    seen = stanza(repository)
    assert seen.repositories[0].problem == "the repository has no valid backup of stanza main"
    repository.configure(repo1_cipher_pass=f"{CIPHER}-another")
    seen = stanza(repository)
    # What the wrong passphrase gives is now refused, now taken for text, at random.
    assert "is damaged, or encrypted with another passphrase: [" in str(seen.repositories[0].problem)
    assert CIPHER not in repr(seen)


def test_a_configuration_that_is_not_there(grounds: Grounds) -> None:
    with pytest.raises(CheckError, match=r"pgbackrest ended with 55: .*unable to open missing file") as caught:
        see(Pgbackrest(STANZA, config_file=grounds.place / "nowhere.conf"))
    assert caught.value.reason is Reason.ERROR


def test_a_configuration_that_may_not_be_read(repository: Repository) -> None:
    if not AS_SERVER_USER:
        pytest.skip("the owner can still read it")
    repository.config_file.chmod(0o600)
    shutil.chown(repository.config_file, user=0)
    with pytest.raises(CheckError, match="Permission denied") as caught:
        stanza(repository)
    assert caught.value.reason is Reason.PRIVILEGE
    assert "sudo" in str(caught.value.remedy)


def test_archiving_that_fails(grounds: Grounds) -> None:
    """pgBackRest does not miss log that never came; that is for whoever watches the server as well."""
    archives = stanza(grounds.repository).archives
    grounds.pg.configure(archive_command="false")
    try:
        grounds.pg.sql("CREATE TABLE written_in_vain ()")
        grounds.pg.sql("SELECT pg_switch_wal()")
        failing = "SELECT last_failed_wal FROM pg_stat_archiver WHERE failed_count > 0"
        ((failed,),) = eventually(lambda: grounds.pg.sql(failing), what="the archiver fails")
        seen = stanza(grounds.repository)
    finally:
        grounds.pg.configure(archive_command=grounds.repository.archive_command)
    assert seen.archives == archives
    assert archives
    assert str(archives[0].last_wal) < failed
