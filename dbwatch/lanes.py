"""Owns one target's work: its session, its backoff, its checks one after another. Knows no clock but monotonic.

`run` is called from one thread at a time, the lane's own. `shut` may come from another thread, once, at the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from dbwatch.announcer import Announcer
from dbwatch.backoff import Backoff
from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import CONNECT_PROBE, Adapter, Session
from dbwatch.errors import CheckError, TargetError
from dbwatch.model import Facts, Outcome, Reason
from dbwatch.node import leads_elsewhere
from dbwatch.runner.run import Run, Runner
from dbwatch.runner.samples import Reading
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Listener, Store, TargetState

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_ENDED = CheckError(Reason.ERROR, "the monitor is ending", step="end")
SESSION_AGE_SECONDS = 1800.0
FACTS_AGE_SECONDS = 300.0
_FACTS_SECONDS = 5.0
_CANCEL_GRACE_SECONDS = 0.2


class Lane:
    """One target, one session, one check at a time."""

    def __init__(
        self,
        target: Target,
        adapter: Adapter,
        checks: Sequence[Check],
        store: Store,
        watchdog: Watchdog,
        *,
        collectors: Sequence[Check] = (),
        collected: Listener | None = None,
        wanted: Callable[[str, str], bool] = lambda _target, _collector: True,
    ) -> None:
        self.target = target
        self.checks: Mapping[str, Check] = {check.name: check for check in checks}
        self.collectors: Mapping[str, Check] = {check.name: check for check in collectors}
        self._collected = collected
        self._wanted = wanted
        self._adapter = adapter
        self._runner = Runner(target, adapter, watchdog)
        self._watchdog = watchdog
        self._store = store
        self._backoff = Backoff()
        self._probe_backoff = Backoff()
        self._session: Session | None = None
        self._opened = 0.0
        self._facts_read = 0.0
        self._readings: dict[str, Reading] = {}
        self.announcer = Announcer(target)
        self._node: Facts | None = None
        self._seen_at_seconds = 0.0
        self._running = threading.Lock()
        self._ended = threading.Event()
        store.register(target, checks)

    def wants(self, name: str) -> bool:
        """Whether a question is to be asked when its time has come: of a collector only while its page is wanted."""
        return name not in self.collectors or self._wanted(self.target.name, name)

    def run(self, name: str, *, lifetime: bool = False) -> Outcome:
        """Run one check now and put its outcome into the store, unless the lane was shut. Never raises.

        What a collector read is for its page alone and goes to `collected`.
        """
        check = self.checks.get(name) or self.collectors[name]
        with self._running:
            try:
                if self._ended.is_set():
                    return self._runner.failed(check, _ENDED)
                outcome = self._reach(check) if check.probe == CONNECT_PROBE else self._ask(check, lifetime=lifetime)
            except Exception as error:
                # An old verdict that stays would be a lie, and one lane's bug must not end the other lanes' run.
                log.exception("run crashed", target=self.target.name, check=name)
                outcome = self._runner.failed(check, _bug(error, "internal"))
            finally:
                if self._ended.is_set():
                    self.close()
        if self._ended.is_set():
            return outcome
        if check.collector is not None:
            if self._collected is not None:
                self._collected(self.target, check, outcome)
            return outcome
        self._store.put(outcome)
        self.announcer.verdict(check, outcome, is_down=self._store.state(self.target.name).up is False)
        return outcome

    def connect(self) -> bool:
        """Open the session now, backoff or not. False when the server cannot be reached; the store knows why."""
        self._backoff.clear()
        try:
            self._live_session()
        except TargetError:
            return False
        return True

    def forget_baselines(self) -> None:
        self._readings.clear()

    def shut(self) -> None:
        """End what runs now and start nothing more, from another thread. Takes about a second at most.

        A server that can hear it is told to stop working for us; one that cannot is left by its socket.
        """
        self._ended.set()
        session = self._session
        busy = not self._running.acquire(blocking=False)
        if busy and session is not None:
            session.cancel()
            busy = not self._running.acquire(timeout=_CANCEL_GRACE_SECONDS)
            if busy:
                session.abort()
        if not busy:
            self.close()
            self._running.release()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _last(self, name: str) -> Outcome | None:
        view = self._store.view(self.target.name)
        return next((v.outcome for v in view.checks if v.check.name == name), None) if view is not None else None

    def _reach(self, check: Check) -> Outcome:
        if self._probe_backoff.waiting and self._probe_backoff.error is not None and (last := self._last(check.name)):
            now = time.monotonic()
            return replace(
                last, finished=now, finished_at_seconds=time.time(), duration_seconds=0.0, database_seconds=0.0
            )
        run = self._runner.reach(check, self._readings.get(check.name))
        self._remember(check, run)
        error = _unreachable(run.outcome)
        state = self._store.state(self.target.name)
        if error is None:
            self._probe_backoff.clear()
            self._backoff.clear()
            self._tell(replace(state, up=True, reason=None, message=""))
        else:
            self._probe_backoff.fail(error)
            if self._session is None:
                self._backoff.fail(error)  # the other checks need not wait for the same silence
            self._tell(replace(state, up=False, reason=error.reason, message=str(error)))
        return run.outcome

    def _ask(self, check: Check, *, lifetime: bool) -> Outcome:
        try:
            session = self._live_session()
        except TargetError as error:
            return self._runner.failed(check, error)
        run = self._runner.run(check, session, self._readings.get(check.name), lifetime=lifetime)
        self._remember(check, run)
        if session.closed:
            self._drop(
                TargetError(run.outcome.reason or Reason.CONNECTION_LOST, run.outcome.step or "", run.outcome.summary)
            )
        else:
            self._seen_at_seconds = time.time()
            if self._store.state(self.target.name).facts is not session.facts:
                self._publish_facts(session)
        return run.outcome

    def _remember(self, check: Check, run: Run) -> None:
        if run.reading is not None and check.collector is None:
            self._readings[check.name] = run.reading

    def _live_session(self) -> Session:
        """The session, opened or renewed when needed. Raises TargetError."""
        now = time.monotonic()
        # While the server takes no new connection, the one we hold is all we have.
        refused = self._probe_backoff.error is not None
        if self._session is not None and now - self._opened > SESSION_AGE_SECONDS and not refused:
            self.close()
        if self._session is not None and self._session.lost:
            log.debug("session was ended by the server", target=self.target.name)
            self.close()
        if self._session is None:
            self._session = self._open()
            self._opened = self._facts_read = now
        elif now - self._facts_read > FACTS_AGE_SECONDS:
            self._refresh(self._session)
            self._facts_read = now
        return self._session

    def _open(self) -> Session:
        if self._backoff.waiting and self._backoff.error is not None:
            raise self._backoff.error
        try:
            session = self._connected(Deadline.after(self.target.connect_timeout + _FACTS_SECONDS))
        except Exception as error:
            if not isinstance(error, TargetError):
                log.exception("connection attempt crashed", target=self.target.name)
                error = _bug(error, "connect")
            self._backoff.fail(error)
            self._drop(error)
            raise error from None
        if self._ended.is_set():
            session.close()
            raise TargetError(_ENDED.reason, "connect", str(_ENDED))
        before, self._node = self._node, session.facts
        if leads_elsewhere(before, session.facts, seen_at_seconds=self._seen_at_seconds):
            self.forget_baselines()
        # A connection opened just now is a newer word than the probe's.
        self._backoff.clear()
        self._probe_backoff.clear()
        self._session = session
        self._publish_facts(session)
        return session

    def _connected(self, deadline: Deadline) -> Session:
        """A new session that knows its facts."""
        session = self._adapter.connect(self.target, deadline)
        try:
            self._learn(session, deadline)
        except CheckError as error:
            session.close()
            raise TargetError(error.reason, error.step or "facts", str(error)) from None
        except Exception:
            session.close()
            raise
        return session

    def _learn(self, session: Session, deadline: Deadline) -> None:
        """Read the facts under watch. Raises CheckError; a connection that was shut at the deadline is a timeout."""
        with self._watchdog.guarding(session, deadline) as guarded:
            try:
                session.refresh(deadline)
            except CheckError as error:
                if not guarded.struck:
                    raise
                text = f"no answer in time at step {session.step} of reading the facts"
                raise CheckError(Reason.TIMEOUT, text, step=session.step) from error

    def _refresh(self, session: Session) -> None:
        try:
            self._learn(session, Deadline.after(_FACTS_SECONDS))
        except CheckError as error:
            if session.closed:
                lost = TargetError(error.reason, error.step or "facts", str(error))
                self._drop(lost)
                raise lost from error
            log.warning("facts not refreshed", target=self.target.name, error=str(error))

    def _tell(self, state: TargetState) -> None:
        """A lane that was shut says nothing more: another may have its target's name by now."""
        if self._ended.is_set():
            return
        before = self._store.state(self.target.name)
        self._store.set_state(self.target.name, state)
        self.announcer.state(before, state)

    def _publish_facts(self, session: Session) -> None:
        """A held session does not prove that the server takes new connections: the probe's word stands."""
        self.announcer.excess(session.facts)
        refused = self._probe_backoff.error
        if refused is None:
            state = TargetState(up=True, facts=session.facts)
        else:
            state = TargetState(up=False, reason=refused.reason, message=str(refused), facts=session.facts)
        self._tell(state)

    def _drop(self, error: TargetError) -> None:
        """The server is gone: forget the session and say so at once."""
        self.close()
        self._tell(TargetState(up=False, reason=error.reason, message=str(error)))


def _bug(error: Exception, phase: str) -> TargetError:
    return TargetError(Reason.ERROR, phase, f"internal error: {type(error).__name__}; the log says more")


def _unreachable(outcome: Outcome) -> TargetError | None:
    """What the connect probe's row says, as an error; None when it got through."""
    if not outcome.rows:
        return TargetError(outcome.reason or Reason.ERROR, outcome.step or "connect", outcome.summary)
    row = outcome.rows[0]
    if row.values.get("up") == 1.0:
        return None
    reason = row.details.get("reason") or str(Reason.ERROR)
    return TargetError(Reason(reason), row.details.get("phase") or "connect", row.details.get("message") or "")
