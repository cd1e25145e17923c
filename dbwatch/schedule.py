"""Owns when checks run: APScheduler with one single-threaded executor a lane. The only module that knows APScheduler.

The job is the run, so `max_instances` and `coalesce` mean what they say. Offsets are hashed from (target, check):
stable over restarts, spread over the interval.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from dbwatch.budget import Budget, paces_of
from dbwatch.catalogue import Check
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.lanes import Lane
from dbwatch.model import Outcome, Reason
from dbwatch.unanswered import Unanswered

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TICK_SECONDS = 5.0
SECOND_READING_SECONDS = 10.0
ASKED_AGAIN_SECONDS = 30.0
_CLOCK_STEP_SECONDS = 30.0
_SHUT_SECONDS = 2.0


class HashedInterval(BaseTrigger):  # type: ignore[misc]  # apscheduler ships no types
    """Fires every `interval` seconds at a fixed offset; the next time is always after now.

    APScheduler's own interval trigger enumerates every missed time after a forward clock jump (measured: 516 MiB for
    60 days at 1 s); this one cannot.
    """

    __slots__ = ("interval", "offset")

    def __init__(self, interval: float, offset: float) -> None:
        self.interval = interval
        self.offset = offset % interval

    def get_next_fire_time(
        self,
        previous_fire_time: datetime.datetime | None,  # noqa: ARG002 - apscheduler's signature
        now: datetime.datetime,
    ) -> datetime.datetime:
        steps = int((now.timestamp() - self.offset) // self.interval) + 1
        following = datetime.datetime.fromtimestamp(steps * self.interval + self.offset, tz=datetime.UTC)
        # Rounded to the microsecond it may be now itself, and APScheduler would ask for ever.
        return following if following > now else following + datetime.timedelta(seconds=self.interval)


def hashed_offset(target: str, check: str, interval: float) -> float:
    """A stable point in the interval for this pair."""
    digest = hashlib.sha256(f"{target}\0{check}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * interval


def trigger_of(lane: Lane, check: Check, stretch: float = 1.0) -> HashedInterval:
    """When a check is due. Of its own times a stretched one keeps every second, fourth, … one, by a lot of its own."""
    name = lane.target.name
    interval = lane.target.intervals.get(check.name, check.every)
    # The collectors of a page take turns at one moment: they share what one INFO said, and fit together.
    place = check.name if check.collector is None else check.collector.exporter
    turn = int(hashed_offset(place, name, stretch))
    return HashedInterval(interval * stretch, hashed_offset(name, place, interval) + turn * interval)


def _grace(trigger: HashedInterval) -> int:
    """How many seconds late a run is still worth it."""
    return max(60, int(trigger.interval))


class Scheduler:
    """Fires every (target, check). `on_missed` gets target and check of a run that was skipped.

    `on_paced` gets a lane whose checks have other intervals from now on, and how many times their own all those wait
    that wait longer; it is called in the lane's thread.
    """

    def __init__(
        self,
        on_missed: Callable[[str, str], None],
        on_paced: Callable[[Lane, Mapping[str, float]], None] = lambda _lane, _stretches: None,
    ) -> None:
        self._scheduler = BackgroundScheduler(timezone=datetime.UTC)
        self._on_missed = on_missed
        self._on_paced = on_paced
        self._lanes: dict[str, Lane] = {}
        self._executors: dict[str, ThreadPoolExecutor] = {}
        self._first: dict[str, set[str]] = {}
        self._idle: set[str] = set()
        self._unanswered: dict[str, Unanswered] = {}
        self._soon: dict[str, datetime.datetime] = {}
        self._started = False
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self.tick_monotonic = time.monotonic()
        self.tick_timestamp_seconds = time.time()
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def start(self, lanes: Iterable[Lane]) -> None:
        self._scheduler.add_executor(ThreadPoolExecutor(1), "tick")
        self._scheduler.add_job(
            self._tick,
            HashedInterval(TICK_SECONDS, 0.0),
            id="tick",
            executor="tick",
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            next_run_time=datetime.datetime.now(tz=datetime.UTC),
        )
        self._scheduler.start()
        threading.Thread(target=self._watch_clock, name="dbwatch-clock", daemon=True).start()
        for lane in lanes:
            self.add(lane)
        self._started = True

    def add(self, lane: Lane) -> None:
        """Run every check of the lane once now, then at its own pace."""
        name = lane.target.name
        with self._lock:
            self._lanes[name] = lane
            self._first[name] = set(lane.checks)
            self._unanswered[name] = Unanswered()
            executor = self._executors[name] = ThreadPoolExecutor(1)
        self._scheduler.add_executor(executor, f"lane:{name}")
        now = datetime.datetime.now(tz=datetime.UTC)
        questions = (*lane.checks.values(), *lane.collectors.values())
        budget = Budget(lane.target.budget, paces_of(lane.target, questions))
        for position, check in enumerate(questions):
            trigger = trigger_of(lane, check)
            self._scheduler.add_job(
                self._run,
                trigger,
                args=(lane, check.name, budget),
                id=f"{name}:{check.name}",
                executor=f"lane:{name}",
                coalesce=True,
                max_instances=1,
                misfire_grace_time=_grace(trigger) if position else None,
                next_run_time=now,
            )

    def remove(self, target: str) -> None:
        """Take a lane out and shut it; does not wait for a hung run."""
        with self._lock:
            lane = self._lanes.pop(target, None)
            if lane is None:
                return
            self._first.pop(target, None)
            self._unanswered.pop(target, None)
            self._idle.discard(target)
            executor = self._executors.pop(target)
        for name in (*lane.checks, *lane.collectors):
            if self._scheduler.get_job(f"{target}:{name}") is not None:
                self._scheduler.remove_job(f"{target}:{name}")
            self._soon.pop(f"{target}:{name}", None)
        self._scheduler.remove_executor(f"lane:{target}", shutdown=False)
        executor.shutdown(wait=False)
        lane.shut()

    @property
    def first_pass_done(self) -> bool:
        with self._lock:
            return self._started and not any(self._first.values())

    def stop(self) -> None:
        """Stop firing and shut all lanes side by side; does not wait for a hung run."""
        self._stopped.set()
        self._scheduler.shutdown(wait=False)
        threads = [
            threading.Thread(target=lane.shut, name="dbwatch-shut", daemon=True) for lane in list(self._lanes.values())
        ]
        for thread in threads:
            thread.start()
        limit = time.monotonic() + _SHUT_SECONDS
        for thread in threads:
            thread.join(max(0.0, limit - time.monotonic()))

    def _run(self, lane: Lane, check: str, budget: Budget) -> None:
        self._soon.pop(f"{lane.target.name}:{check}", None)
        if not lane.wants(check):
            self._idle.add(lane.target.name)
            budget.pass_over(check)
            return
        if check in lane.collectors:
            self._resume(lane, lane.collectors[check])
        with self._lock:
            is_first = check in self._first.get(lane.target.name, set())
        try:
            outcome = lane.run(check)
        finally:
            with self._lock:
                self._first.get(lane.target.name, set()).discard(check)
        half_seen = is_first and outcome.answered and lane.checks[check].sampled
        if half_seen or outcome.reason is Reason.NO_BASELINE:
            self._bring_forward(f"{lane.target.name}:{check}", SECOND_READING_SECONDS)
        if changed := budget.count(outcome):
            self._pace(lane, changed, budget.stretches)
        self._ask_again(lane, outcome)

    def _ask_again(self, lane: Lane, outcome: Outcome) -> None:
        """What found no answer, soon after the server has answered something else."""
        with self._lock:
            unanswered = self._unanswered.get(lane.target.name) if self._is_ours(lane) else None
        if unanswered is None:
            return
        check = lane.checks.get(outcome.check)
        if check is None or check.probe == CONNECT_PROBE:
            return
        for name in unanswered.note(outcome):
            apart = hashed_offset(lane.target.name, name, ASKED_AGAIN_SECONDS)
            self._bring_forward(f"{lane.target.name}:{name}", ASKED_AGAIN_SECONDS / 2 + apart)

    def _is_ours(self, lane: Lane) -> bool:
        """False for one that was removed while it ran; another may have its target's name by now."""
        return self._lanes.get(lane.target.name) is lane

    def _pace(self, lane: Lane, changed: Mapping[str, float], stretches: Mapping[str, float]) -> None:
        with self._lock:
            if not self._is_ours(lane):
                return
        for name, stretch in changed.items():
            check = lane.checks.get(name) or lane.collectors[name]
            job_id, trigger = f"{lane.target.name}:{name}", trigger_of(lane, check, stretch)
            with contextlib.suppress(JobLookupError):
                # Late behind slow ones it is still to run: its next turn may be an hour away.
                self._scheduler.modify_job(job_id, misfire_grace_time=_grace(trigger))
                self._scheduler.reschedule_job(job_id, trigger=trigger)
            if (at := self._soon.get(job_id)) is not None:
                self._move_up(job_id, at)
        self._on_paced(lane, stretches)

    def _resume(self, lane: Lane, collector: Check) -> None:
        """After a time in which nobody wanted their page the slower collectors do not wait for their own time."""
        if lane.target.name in self._idle:
            self._idle.discard(lane.target.name)
            for name, other in lane.collectors.items():
                if other.every > collector.every:
                    self._bring_forward(f"{lane.target.name}:{name}", 0.0)

    def _bring_forward(self, job_id: str, seconds: float) -> None:
        """Run a job in `seconds` when its own time is later, so that the second reading comes soon."""
        at = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(seconds=seconds)
        if self._move_up(job_id, at):
            self._soon[job_id] = at

    def _move_up(self, job_id: str, at: datetime.datetime) -> bool:
        job = self._scheduler.get_job(job_id)
        if job is None or job.next_run_time is None or job.next_run_time <= at:
            return False
        with contextlib.suppress(JobLookupError):
            job.modify(next_run_time=at)
        return True

    def _tick(self) -> None:
        """Proof of life."""
        self.tick_monotonic, self.tick_timestamp_seconds = time.monotonic(), time.time()

    def _watch_clock(self) -> None:
        """Let every job start anew when the clock was set back.

        No job of APScheduler's, which goes by that clock: until it had caught up, none would run, this one included.
        """
        ahead = time.time() - time.monotonic()
        while not self._stopped.wait(TICK_SECONDS):
            before, ahead = ahead, time.time() - time.monotonic()
            if ahead - before < -_CLOCK_STEP_SECONDS:
                log.warning("clock was set back", seconds=before - ahead)
                now = datetime.datetime.now(tz=datetime.UTC)
                for job in self._scheduler.get_jobs():
                    with contextlib.suppress(JobLookupError):
                        job.modify(next_run_time=now)

    def _missed(self, event: JobEvent) -> None:
        target, _, check = str(event.job_id).rpartition(":")
        if target:
            self._on_missed(target, check)
