"""What pgBackRest's JSON means, of the versions 2.45 and 2.60 and of older ones by what they lack."""

from __future__ import annotations

from typing import Any

import pytest

from dbwatch.engines.backup.record import Archive, Kind, Repository, Running, Seen, State
from dbwatch.engines.backup.tools.document import Node
from dbwatch.engines.backup.tools.pgbackrest_info import seen_of
from dbwatch.errors import CheckError
from dbwatch.model import Reason
from tests.unit.backup.answers import node, plain, recorded


def read(told: Node, stanza: str = "main") -> Seen:
    return seen_of(told, stanza, 1000.0, "pgbackrest info")


def problem_of(name: str) -> str | None:
    (repository,) = read(recorded(name)).repositories
    assert repository.unreachable is None
    return repository.problem


@pytest.mark.parametrize("version", ["2.45", "2.60"])
def test_healthy(version: str) -> None:
    seen = read(recorded(f"pgbackrest-{version}-healthy"))
    assert [b.kind for b in seen.backups] == [Kind.FULL, Kind.DIFFERENTIAL, Kind.INCREMENTAL]
    assert {b.state for b in seen.backups} == {State.DONE}
    assert seen.repositories == (Repository("repo1"),)
    assert str(seen.version).startswith(version)
    assert seen.system_identifier == {"2.45": "7710116559694904388", "2.60": "7710116292632266065"}[version]
    assert {b.system_identifier for b in seen.backups} == {seen.system_identifier}
    assert (seen.gaps, seen.running, seen.troubles, seen.retention) == ((), (), (), ())


def test_every_fact_of_a_backup() -> None:
    backup = read(recorded("pgbackrest-2.45-healthy")).backups[1]
    assert backup.label == "20261120-141713F_20261120-141716D"
    assert backup.reference == "20261120-141713F"
    assert (backup.started_at_seconds, backup.finished_at_seconds) == (1795184236.0, 1795184238.0)
    assert (backup.size_bytes, backup.stored_bytes) == (22919004, 8458)
    assert (backup.first_wal, backup.last_wal) == ("000000010000000000000004", "000000010000000000000005")
    assert backup.damage is None


def test_archive() -> None:
    identifier = "7710116559694904388"
    archive = Archive("repo1", "000000010000000000000001", "000000010000000000000007", system_identifier=identifier)
    assert read(recorded("pgbackrest-2.45-healthy")).archives == (archive,)


@pytest.mark.parametrize("version", ["2.45", "2.60"])
def test_a_new_stanza(version: str) -> None:
    seen = read(recorded(f"pgbackrest-{version}-no-backup-yet"))
    assert seen.backups == ()
    assert seen.archives == (), "looked, and there is none"
    assert seen.repositories[0].problem == "the repository has no valid backup of stanza main"


def test_no_stanza() -> None:
    assert "has no stanza main: it was never created" in str(problem_of("pgbackrest-2.45-no-stanza"))


def test_a_list_without_the_stanza() -> None:
    seen = read(node([]))
    assert "the repository has no stanza main" in str(seen.repositories[0].problem)
    assert (seen.backups, seen.archives) == ((), ())
    assert read(recorded("pgbackrest-2.45-healthy"), "another").backups == ()


def test_lost_and_damaged() -> None:
    assert "has lost what stanza main consists of" in str(problem_of("pgbackrest-2.45-data-lost"))
    damaged = "the repository is damaged: [FormatError] invalid JSON value at line 6"
    assert problem_of("pgbackrest-2.45-damaged") == damaged


@pytest.mark.parametrize("name", ["denied", "stanza-denied"])
def test_out_of_reach(name: str) -> None:
    (repository,) = read(recorded(f"pgbackrest-2.45-{name}")).repositories
    assert repository.problem is None
    assert "the repository cannot be read: [" in str(repository.unreachable)
    assert str(repository.unreachable).endswith("[13] Permission denied")


def test_two_repositories_and_one_is_gone() -> None:
    seen = read(recorded("pgbackrest-2.60-one-repository-gone"))
    assert seen.repositories[0] == Repository("repo1")
    assert str(seen.repositories[1].problem).startswith("repository repo2 has no stanza main")
    assert {b.repository for b in seen.backups} == {"repo1"}


def test_a_backup_under_way() -> None:
    assert read(recorded("pgbackrest-2.45-running")).running == (Running(repository="repo1"),)
    assert read(recorded("pgbackrest-2.60-running")).running == (
        Running(repository="repo1", done_bytes=0, total_bytes=5685840559),
    )


def test_progress_before_it_was_told_by_repository() -> None:
    told = plain("pgbackrest-2.45-running")
    told[0]["status"]["lock"]["backup"] |= {"size": 100, "size-cplt": 40}
    told[0]["repo"].append({"key": 2, "status": {"code": 0, "message": "ok"}})
    assert read(node(told)).running == (Running(done_bytes=40, total_bytes=100),)


def test_pages_with_wrong_checksums() -> None:
    told = plain("pgbackrest-2.45-healthy")
    told[0]["backup"][2]["error"] = True
    assert [b.damage for b in read(node(told)).backups] == [None, None, "pages with wrong checksums"]


def test_before_repositories_had_numbers() -> None:
    """Until 2.31: neither `repo` nor `repo-key`, nor `lsn`, `error`, `lock`."""
    told = plain("pgbackrest-2.45-healthy")
    old = _without(told, {"repo", "repo-key", "lsn", "error", "lock", "cipher"})
    seen = read(node(old))
    assert seen.repositories == (Repository(""),)
    assert len(seen.backups) == 3
    assert {b.repository for b in seen.backups} == {""}
    assert seen.archives is not None
    assert seen.archives[0].last_wal == "000000010000000000000007"
    assert seen.running == ()


def test_keys_that_are_new_or_missing() -> None:
    told = plain("pgbackrest-2.45-healthy")
    told[0]["backup"][0] = {"label": "20261120-141713F", "holographic": {"yes": [1]}}
    told[0]["new"] = None
    backup = read(node(told)).backups[0]
    assert (backup.kind, backup.finished_at_seconds, backup.size_bytes) == (Kind.FULL, None, None)


def test_a_type_of_the_future_leans_on_another_or_is_full() -> None:
    told = plain("pgbackrest-2.45-healthy")
    told[0]["backup"][0]["type"] = told[0]["backup"][2]["type"] = "synthetic"
    assert [b.kind for b in read(node(told)).backups] == [Kind.FULL, Kind.DIFFERENTIAL, Kind.INCREMENTAL]


def test_after_an_upgrade_only_the_new_cluster_counts() -> None:
    told = plain("pgbackrest-2.45-healthy")
    told[0]["db"].append({"id": 2, "repo-key": 1, "system-id": 42, "version": "16"})
    assert read(node(told)).gaps == (), "that the new one has archived nothing yet makes no gap in the old"
    told[0]["archive"].append(
        {"database": {"id": 2, "repo-key": 1}, "id": "16-2", "max": "0" * 23 + "9", "min": "0" * 23 + "8"}
    )
    seen = read(node(told))
    assert seen.system_identifier == "42"
    assert seen.archives == (Archive("repo1", "0" * 23 + "8", "0" * 23 + "9", system_identifier="42"),)
    assert {b.system_identifier for b in seen.backups} == {"7710116559694904388"}
    assert seen.gaps == (), "the log of the old cluster may go"


@pytest.mark.parametrize(
    ("archive", "texts"),
    [
        ({"max": "000000010000000000000007", "min": "000000010000000000000001"}, []),
        ({"max": "000000010000000000000006"}, ["141719I needs the log up to 000000010000000000000007"]),
        ({"min": "000000010000000000000003"}, ["141713F needs the log from 000000010000000000000002"]),
        ({"max": "000000020000000000000001"}, []),
        ({"max": None, "min": None}, ["none is archived"] * 3),
    ],
)
def test_gaps(archive: dict[str, Any], texts: list[str]) -> None:
    told = plain("pgbackrest-2.45-healthy")
    told[0]["archive"][0] |= archive
    gaps = read(node(told)).gaps
    assert len(gaps) == len(texts)
    for gap, text in zip(gaps, texts, strict=True):
        assert text in gap.text
        assert gap.repository == "repo1"


@pytest.mark.parametrize(
    "told",
    [
        {},
        "[]",
        42,
        None,
        [1],
        [{"name": "main", "backup": {}}],
        [{"name": "main", "backup": [[]]}],
        [{"name": "main", "backup": [{"timestamp": {"stop": "yesterday"}}]}],
        [{"name": "main", "backup": [{"timestamp": {"stop": 1e30}}]}],
        [{"name": "main", "backup": [{"timestamp": {"stop": 1795184238000}}]}],
        [{"name": "main", "backup": [{"info": {"size": -1}}]}],
        [{"name": "main", "backup": [{"info": {"size": True}}]}],
        [{"name": "main", "repo": [{"status": {"code": "zero"}}]}],
        [{"name": ["main"]}],
        [{"name": "main", "status": {"lock": {"backup": {"held": "no"}}}}],
    ],
)
def test_nonsense(told: Any) -> None:
    with pytest.raises(CheckError, match="makes no sense") as caught:
        read(node(told, "pgbackrest"))
    assert caught.value.reason is Reason.BAD_RESULT


def _without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, keys) for key, item in value.items() if key not in keys}
    return [_without(item, keys) for item in value] if isinstance(value, list) else value
