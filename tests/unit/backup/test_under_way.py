"""Since when a backup is under way, for a tool that does not say when it began nor to which repository it goes."""

from __future__ import annotations

from dbwatch.config import Target
from dbwatch.config.backups import Pgbackrest, Schedule
from dbwatch.engines.backup.context import BackupContext, Told
from dbwatch.engines.backup.planned import Planned
from dbwatch.engines.backup.probes.running import running
from dbwatch.engines.backup.record import Repository, Running, Seen, SourceName
from dbwatch.engines.backup.tools.pgbackrest import PgbackrestSource
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.cluster import Clusters
from dbwatch.model import Engine

TWO = (Repository("repo1"), Repository("repo2"))
PLANNED = Planned(PgbackrestSource(Pgbackrest("main")), Schedule())


def seconds(memory: Memory, now_seconds: float, *under_way: Running) -> dict[object, object]:
    seen = Seen(SourceName.PGBACKREST, "main", now_seconds, repositories=TWO, running=under_way)
    target = Target(name="kept", engine=Engine.BACKUP)
    context = BackupContext(target, [Told(PLANNED, seen)], now_seconds, memory, Clusters())
    return {row["repository"]: row["running_seconds"] for row in running(context)}


def test_a_backup_does_not_inherit_the_beginning_of_the_one_before() -> None:
    memory = Memory()
    nobody = {"repo1": None, "repo2": None}
    assert seconds(memory, 100.0, Running()) == {"": 0.0, **nobody}
    assert seconds(memory, 400.0, Running()) == {"": 300.0, **nobody}
    assert seconds(memory, 700.0) == nobody
    assert seconds(memory, 90_000.0, Running()) == {"": 0.0, **nobody}


def test_each_repository_for_itself_where_it_is_told() -> None:
    memory = Memory()
    assert seconds(memory, 100.0, Running(repository="repo2")) == {"repo1": None, "repo2": 0.0}
    later = seconds(memory, 400.0, Running(repository="repo1"), Running(repository="repo2"))
    assert later == {"repo1": 0.0, "repo2": 300.0}
