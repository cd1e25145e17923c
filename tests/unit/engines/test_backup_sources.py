"""Looking at several sources within one deadline, and whose word counts about a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from dbwatch.config.backups import Schedule
from dbwatch.deadline import Deadline
from dbwatch.engines.archived import ArchivingTold
from dbwatch.engines.backup.planned import Planned
from dbwatch.engines.backup.probes.chain import Handed, furthest
from dbwatch.engines.backup.record import Seen, SourceName
from dbwatch.engines.backup.sources import Looker
from dbwatch.engines.postgres.cluster import Clusters
from dbwatch.errors import CheckError
from dbwatch.model import Reason


@dataclass(slots=True)
class Played:
    """A source that answers what it is told to, and remembers how much time it got."""

    source: SourceName
    answers: Iterator[Seen | CheckError]
    name: str = ""
    got: list[float] = field(default_factory=list)

    def look(self, deadline: Deadline) -> Seen:
        self.got.append(deadline.remaining)
        answer = next(self.answers)
        if isinstance(answer, CheckError):
            raise answer
        return answer


def planned(source: SourceName, *answers: Seen | CheckError) -> tuple[Played, Planned]:
    played = Played(source, iter(answers))
    return played, Planned(played, Schedule())


def everything(_: SourceName) -> bool:
    return True


def test_one_that_hangs_leaves_the_others_their_share() -> None:
    first, one = planned(SourceName.PGBACKREST, CheckError(Reason.TIMEOUT, "no answer"))
    second, other = planned(SourceName.BARMAN, Seen(SourceName.BARMAN))
    found = Looker((one, other)).look(Deadline.after(100), everything)
    assert [looked.error is not None for looked in found] == [True, False]
    assert first.got[0] == pytest.approx(50, abs=5)
    assert second.got[0] == pytest.approx(100, abs=5), "what the first did not use is left"


def test_without_time_nobody_is_asked() -> None:
    played, one = planned(SourceName.PGBACKREST, Seen(SourceName.PGBACKREST))
    (looked,) = Looker((one,)).look(Deadline.after(-1), everything)
    assert looked.error is not None
    assert looked.error.reason is Reason.TIMEOUT
    assert played.got == []


def test_files_are_looked_at_once_for_all_checks_and_a_failure_is_not_kept() -> None:
    gone = CheckError(Reason.ERROR, "gone")
    played, one = planned(SourceName.DUMPS, gone, Seen(SourceName.DUMPS, "1"), Seen(SourceName.DUMPS, "2"))
    time = [0.0]
    looker = Looker((one,), now=lambda: time[0])

    def look() -> str:
        (looked,) = looker.look(Deadline.after(10), everything)
        return looked.seen.name if looked.seen else str(looked.error)

    assert [look(), look(), look()] == ["gone", "1", "1"]
    time[0] = 1000.0
    assert look() == "2"
    assert len(played.got) == 3


def test_a_named_server_is_believed_before_a_clone_of_it() -> None:
    cluster = Clusters().of("7")
    assert cluster is not None
    cluster.tell("orders", ArchivingTold(0.0, 16, 100, 96, 0.0, 0.0))
    cluster.tell("clone", ArchivingTold(0.0, 16, 900, 896, 0.0, 0.0))
    cluster.tell("standby", ArchivingTold(0.0, 16, 990, None, None, 0.0))

    def end(named: str | None) -> int | None:
        told = furthest(cluster, named)
        return told.archived_end if told is not None else None

    assert end(None) == 896
    assert end("orders") == 96
    assert end("not watched") == 896


def test_a_target_is_found_by_what_it_told() -> None:
    clusters = Clusters()
    for identifier, target in (("7", "orders"), ("8", "crm")):
        cluster = clusters.of(identifier)
        assert cluster is not None
        cluster.tell(target, ArchivingTold(0.0, 16, 0, None, None, 0.0))
    found = clusters.of_target("crm")
    assert found is not None
    assert found[0] == "8"
    assert clusters.of_target("shop") is None
    assert clusters.known("9") is None


def test_what_was_handed_over_is_remembered_with_its_time() -> None:
    handed = Handed()
    for at in range(500):
        handed.add("7", float(at), 16 * at)
    assert handed.until("7", 450.0) == 16 * 450
    assert handed.until("7", 100.0) is None, "only so much is remembered"
    assert handed.until("8", 450.0) is None
