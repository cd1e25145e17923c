"""The lag that is told stays within a second of the truth, whatever breaks, with the primary watched and without.

One primary, a standby behind a proxy and a standby of that one, in one story a major: each scene mends what it broke.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dbwatch.model import Outcome, Reason, Status
from tests.conftest import end_majors
from tests.harness.cluster import give_to_server_user
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.waiting import eventually
from tests.postgres.lag.lab import TOLERANCE_SECONDS, Heart, Lab, Scene, Watch

FAR_SECONDS = 1.2
DELAY_SECONDS = 1.2


class Story:
    """The servers, who watches them, and what can be done to them."""

    def __init__(self, major: int, archive: Path, stack: ExitStack) -> None:
        settings = {
            "wal_retrieve_retry_interval": "100ms",
            "full_page_writes": "on",  # a base backup of a standby wants it
            "archive_mode": "on",
            "archive_command": f"cp %p {archive}/%f",
            "restore_command": f"cp {archive}/%f %p 2>/dev/null",
        }
        self.primary = stack.enter_context(Postgres(major, settings=settings, name=f"lag{major}"))
        self.primary.create_monitor_role()
        self.heart = Heart(self.primary)
        stack.callback(self.heart.stop)
        self.standby = self.primary.standby(name="upper")
        self.cascade = self.standby.standby(name="lower")
        self.proxy = stack.enter_context(Proxy(self.primary.port))
        self.link = self.standby.settings["primary_conninfo"].replace(str(self.primary.port), str(self.proxy.port))
        self.standby.configure(primary_conninfo=self.link)
        servers = {"primary": self.primary, "upper": self.standby, "lower": self.cascade}
        self.all = self._watch(servers, stack)
        self.standbys = self._watch({"upper": self.standby, "lower": self.cascade}, stack)
        self.alone = self._watch({"upper": self.standby}, stack)
        self.lab = Lab(self.heart)
        self.settled()

    def _watch(self, servers: dict[str, Postgres], stack: ExitStack) -> Watch:
        watch = Watch(servers)
        stack.callback(watch.close)
        return watch

    def settled(self) -> None:
        """Until the standbys stream and have everything."""
        eventually(
            lambda: self.standby.sql("select status = 'streaming' from pg_stat_wal_receiver") == [(True,)],
            what="the standby streams again",
        )
        self.primary.wait_caught_up(self.standby)
        self.primary.wait_caught_up(self.cascade)
        for watch in (self.all, self.standbys, self.alone):
            for name in watch.lanes:
                watch.look(name, "replica_lag")
                watch.look(name)

    def tick(self) -> Outcome:
        return self.all.look("primary", "replica_lag")

    def upper(self, name: str, *, truth: float | None = None, seconds: float = 0.0, delay: float = 0.0) -> Scene:
        watchers: dict[str, Callable[[], Outcome]] = {
            "watched": lambda: self.all.look("upper"),
            "alone": lambda: self.alone.look("upper"),
        }
        return self.lab.observe(
            name, self.standby, watchers, first=[self.tick], truth=truth, seconds=seconds, delay=delay
        )

    def lower(self, name: str, *, truth: float | None = None, seconds: float = 0.0) -> Scene:
        watchers: dict[str, Callable[[], Outcome]] = {
            "watched": lambda: self.all.look("lower"),
            "with upper": lambda: self.standbys.look("lower"),
        }
        first = [self.tick, lambda: self.standbys.look("upper")]
        return self.lab.observe(name, self.cascade, watchers, first=first, truth=truth, seconds=seconds)


@pytest.fixture(scope="module", params=end_majors(), ids=lambda major: f"pg{major}")
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    archive = tmp_path_factory.mktemp("archive")
    for folder in (archive, *archive.parents[:2]):
        folder.chmod(0o755)
    give_to_server_user(archive)
    with ExitStack() as stack:
        yield Story(request.param, archive, stack)


def within(scene: Scene) -> None:
    """Every value told in the scene was right within the tolerance, except where the scene says what cannot be seen."""
    tolerance = TOLERANCE_SECONDS + scene.late
    for watcher, series in scene.series.items():
        if watcher in scene.unseen:
            continue
        if watcher in scene.bounds:
            assert series.told is not None, scene.line()
            assert series.told >= scene.truth - tolerance, f"no bound: {scene.line()}"
            continue
        assert series.withheld == 0, f"{watcher} told nothing: {scene.line()}"
        assert series.worst <= tolerance, f"{watcher} is wrong: {scene.line()}"


def test_the_lag_is_the_truth(story: Story) -> None:
    story.heart.start()
    within(story.upper("streaming", seconds=0.5))
    within(story.lower("streaming, cascade", seconds=0.3))

    story.heart.stop()
    story.settled()
    within(story.upper("idle primary", seconds=FAR_SECONDS))
    assert story.lab.scenes[-1].series["alone"].told == 0

    story.proxy.refuse()
    idle = story.upper("idle primary, link broken", seconds=FAR_SECONDS)
    idle.bounds.add("alone")  # nobody can know from the standby that the primary is idle: what is told is a bound
    within(idle)
    assert idle.series["watched"].told == 0
    story.proxy.pass_()
    story.settled()

    story.standby.sql("select pg_wal_replay_pause()")
    story.heart.once()
    within(story.upper("replay paused, one commit after an idle time", truth=FAR_SECONDS))
    story.heart.start()
    within(story.upper("replay paused, busy primary", truth=FAR_SECONDS + 0.5))
    story.standby.sql("select pg_wal_replay_resume()")
    story.settled()

    story.proxy.freeze()
    silent = story.upper("network silent, link seems open", truth=FAR_SECONDS)
    silent.unseen.add("alone")  # until the receiver has waited for half of wal_receiver_timeout
    within(silent)
    story.proxy.refuse()
    story.proxy.pass_()
    story.settled()

    story.proxy.refuse()
    for (pid,) in story.standby.sql("select pid from pg_stat_wal_receiver"):
        os.kill(pid, signal.SIGTERM)
    within(story.upper("receiver killed", truth=FAR_SECONDS))
    within(story.lower("receiver of the upstream killed, cascade", truth=FAR_SECONDS))
    story.proxy.pass_()
    story.settled()

    story.standby.configure(primary_conninfo="host=127.0.0.1 port=1")
    within(story.upper("conninfo broken", truth=FAR_SECONDS))
    story.standby.configure(primary_conninfo=story.link)
    story.settled()

    story.standby.configure(recovery_min_apply_delay=f"{DELAY_SECONDS:g}s")
    within(story.upper("delayed on purpose", seconds=1.5 * DELAY_SECONDS, delay=DELAY_SECONDS))
    replica = next(row for row in story.tick().rows if row.key == "upper")
    assert replica.values["delay_seconds"] == DELAY_SECONDS
    tolerance = TOLERANCE_SECONDS + story.lab.scenes[-1].late
    assert (replica.values["overdue_seconds"] or 0.0) < tolerance
    assert (replica.values["replay_lag_seconds"] or 0) > TOLERANCE_SECONDS
    story.standby.sql("select pg_wal_replay_pause()")
    within(story.upper("delayed on purpose, then paused", truth=FAR_SECONDS, delay=DELAY_SECONDS))
    story.standby.sql("select pg_wal_replay_resume()")
    story.standby.configure(recovery_min_apply_delay="0")
    story.settled()

    story.standby.configure(primary_conninfo="")
    story.primary.sql("select pg_switch_wal()")
    archived = story.upper("archive only", truth=FAR_SECONDS)
    archived.unseen.add("alone")
    within(archived)
    assert archived.series["alone"].told is None, "alone, an archive does not say what is not in it"
    outcome = story.all.look("upper")
    assert outcome.rows[0].values["receiver_up"] is None
    assert outcome.status is Status.OK
    story.standby.configure(primary_conninfo=story.link)
    story.settled()

    story.heart.stop()
    story.primary.stop()
    story.standby.promote()
    assert story.all.look("upper").reason is Reason.ROLE
    story.heart.start(story.standby)

    def follow() -> object:
        return story.all.look("upper", "replica_lag")

    watchers = {"watched": lambda: story.all.look("lower"), "with upper": lambda: story.standbys.look("lower")}
    first = [follow, lambda: story.standbys.look("upper", "replica_lag")]
    within(story.lab.observe("upstream promoted", story.cascade, watchers, first=first, seconds=0.5))
    story.cascade.sql("select pg_wal_replay_pause()")
    within(story.lab.observe("promoted, then paused", story.cascade, watchers, first=first, truth=FAR_SECONDS))
    print(f"\nPostgreSQL {story.primary.major}", *(scene.line() for scene in story.lab.scenes), sep="\n")
