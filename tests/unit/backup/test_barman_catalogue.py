"""What Barman's JSON means, of the versions 3.4 and 3.19."""

from __future__ import annotations

from typing import Any

import pytest

from dbwatch.engines.backup.record import Archive, Kind, Repository, Retention, Running, Seen, State, Trouble
from dbwatch.engines.backup.tools.barman_catalogue import Told, newest_done, newest_failed, seen_of, unknown_server
from dbwatch.engines.backup.tools.document import Node
from dbwatch.errors import CheckError
from dbwatch.model import Reason
from tests.unit.backup.answers import node, plain, recorded


def read(backups: Node, **more: Any) -> Seen:
    told = Told(backups, more.get("newest"), more.get("failure"), more.get("status"), more.get("checks"))
    return seen_of(told, "main", 1000.0, "barman check main")


def healthy(version: str, listing: str) -> Seen:
    names = {"newest": "show-backup", "status": "status", "checks": "check"}
    middle = "healthy-" if version == "3.4" else ""
    answers = {key: recorded(f"barman-{version}-{middle}{name}")["main"] for key, name in names.items()}
    return read(recorded(f"barman-{version}-{middle}{listing}")["main"], **answers)


def listed(*entries: dict[str, Any]) -> Node:
    return node(list(entries), "barman")


def test_healthy() -> None:
    seen = healthy("3.4", "list-backup")
    (backup,) = seen.backups
    assert (backup.kind, backup.state, backup.label) == (Kind.FULL, State.DONE, "20261120T141853")
    assert (backup.started_at_seconds, backup.finished_at_seconds) == (1795184333.0, 1795184334.0)
    assert backup.size_bytes == 39834030
    assert (backup.first_wal, backup.last_wal) == ("000000010000000000000002", "000000010000000000000002")
    assert seen.archives == (Archive(first_wal="000000010000000000000002", last_wal="000000010000000000000002"),)
    assert seen.retention == (Retention(full_backups=2),)
    assert seen.repositories == (Repository(),)
    assert (seen.troubles, seen.running, seen.system_identifier) == ((), (), None)


def test_the_newest_version() -> None:
    seen = healthy("3.19", "list-backups")
    assert [b.state for b in seen.backups] == [State.FAILED, State.FAILED, State.DONE]
    assert seen.system_identifier == "7710116559694904388"
    assert seen.backups[2].system_identifier == "7710116559694904388"
    assert seen.archives == (Archive(first_wal="000000010000000000000002", last_wal="000000010000000000000004"),)
    assert set(seen.troubles) == {
        Trouble("continuous archiving: FAILED"),
        Trouble("failed backups: there are 1 failed backups", failed=False),
        Trouble("wal archive: please make sure WAL shipping is setup"),
    }


def test_failed_and_never_finished() -> None:
    backups = recorded("barman-3.4-failed-list-backup")["main"]
    assert newest_done(backups) == "20261120T142157"
    assert newest_failed(backups) == "20261120T142205"
    failure = recorded("barman-3.4-failed-show-backup")["main"]
    seen = read(backups, failure=failure, checks=recorded("barman-3.4-failed-check")["main"])
    failed, killed, done = seen.backups
    assert (failed.state, failed.error) == (State.FAILED, "failure copying files (143)")
    assert (killed.state, killed.error) == (State.FAILED, "never finished: a later one has been started")
    assert done.state is State.DONE
    assert seen.running == ()
    assert seen.troubles == (Trouble("failed backups: there are 1 failed backups", failed=False),)


def test_a_failure_before_the_newest_whole_one_is_over() -> None:
    backups = listed({"backup_id": "20260101T000000", "status": "FAILED"}, done("20260102T000000"))
    assert newest_failed(backups) is None


def done(name: str, **more: Any) -> dict[str, Any]:
    times = {"end_time": "Fri Nov 20 14:18:54 2026", "end_time_timestamp": "1795184334"}
    return {"backup_id": name, "status": "DONE", **times, **more}


def test_the_newest_that_is_begun_may_be_under_way() -> None:
    seen = read(listed({"backup_id": "20261120T141900", "status": "STARTED"}, done("20261120T141853")))
    assert seen.backups[0].state is State.RUNNING
    assert seen.running == (Running(Kind.FULL, 1795184340.0),)


@pytest.mark.parametrize("hours", [-8, 0, 3])
def test_ids_are_in_barmans_own_time_zone(hours: int) -> None:
    """`end_time` is local and `end_time_timestamp` is not, which tells the zone."""
    ended = done("20261120T141853", end_time="Fri Nov 20 14:18:54 2026")
    ended["end_time_timestamp"] = str(1795184334 - hours * 3600)
    seen = read(listed({"backup_id": "20261120T141900", "status": "STARTED"}, ended))
    assert seen.running[0].since_seconds == 1795184340.0 - hours * 3600


def test_copied_but_waiting_for_log_is_no_backup_yet() -> None:
    (backup,) = read(listed(done("20261120T141853", status="WAITING_FOR_WALS"))).backups
    assert (backup.state, backup.finished_at_seconds) == (State.RUNNING, None)
    assert backup.error == "is copied and waits for the log it needs"


def test_types_and_kept_backups() -> None:
    seen = read(
        listed(
            done("20260103T000000", backup_type="incremental"),
            done("20260102T000000", backup_type="rsync", retention_status="KEEP:FULL"),
            done("20260101T000000", backup_type="snapshot", retention_status="OBSOLETE"),
        )
    )
    assert [b.kind for b in seen.backups] == [Kind.INCREMENTAL, Kind.FULL, Kind.FULL]
    assert [b.permanent for b in seen.backups] == [False, True, False]


def test_no_backup() -> None:
    seen = read(listed())
    assert seen.backups == ()
    assert "Barman sees no backup" in str(seen.repositories[0].problem)
    assert seen.archives is None, "nothing was told about log"


def test_no_server() -> None:
    said = unknown_server(recorded("barman-3.4-no-server"), "nosuch")
    assert said == "Barman has no server nosuch: Unknown server 'nosuch'"


def test_the_server_is_down() -> None:
    troubles = read(listed(), checks=recorded("barman-3.4-server-down-check")["main"]).troubles
    assert Trouble("postgresql: FAILED") in troubles


@pytest.mark.parametrize(
    ("policy", "retention"),
    [
        ("enforced (mode: auto, retention: REDUNDANCY 2, WAL retention: MAIN)", Retention(full_backups=2)),
        ("enforced (mode: auto, retention: RECOVERY WINDOW OF 7 DAYS, …)", Retention(seconds=7 * 86_400.0)),
        ("enforced (mode: auto, retention: RECOVERY WINDOW OF 1 WEEKS)", Retention(seconds=7 * 86_400.0)),
        ("enforced (mode: auto, retention: RECOVERY WINDOW OF 1 MONTH)", Retention(seconds=31 * 86_400.0)),
        ("not enforced", None),
    ],
)
def test_retention(policy: str, retention: Retention | None) -> None:
    status = node({"retention_policies": {"message": policy}}, "barman")
    assert read(listed(), status=status).retention == ((retention,) if retention else ())


def test_a_server_that_is_switched_off() -> None:
    status = plain("barman-3.4-healthy-status")["main"]
    status["active"]["message"], status["disabled"]["message"] = "False", "True"
    texts = [trouble.text for trouble in read(listed(), status=node(status)).troubles]
    assert texts == [
        "the server is set inactive in Barman: nothing is backed up",
        "Barman has disabled the server because of its configuration",
    ]


def test_a_hint_with_a_secret() -> None:
    checks = node({"ssh": {"status": "FAILED", "hint": "could not connect: user=x password=hunter2-s3cret"}})
    (trouble,) = read(listed(), checks=checks).troubles
    assert trouble.text == "ssh: could not connect: user=x password=***"


@pytest.mark.parametrize("backups", [{"a": 1}, ["20261120T141853"], [{"backup_id": []}], [{"size_bytes": "large"}]])
def test_nonsense(backups: Any) -> None:
    with pytest.raises(CheckError, match="barman printed JSON that makes no sense") as caught:
        read(node(backups, "barman"))
    assert caught.value.reason is Reason.BAD_RESULT
