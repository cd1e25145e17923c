"""A run becomes an outcome, whatever happens in it."""

from __future__ import annotations

import datetime
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dbwatch.catalogue import Check
from dbwatch.config import Ignore, Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Measurement
from dbwatch.errors import CheckError, ConnectionLost, Skipped
from dbwatch.model import RawRow, Reason, Role, Status
from dbwatch.runner.run import Runner
from dbwatch.runner.watchdog import Watchdog
from tests.unit.runner.conftest import FACTS, FakeAdapter, FakeSession, make_check, row


def runner(target: Target, watchdog: Watchdog) -> Runner:
    return Runner(target, FakeAdapter([]), watchdog)


def test_worst_level_wins_and_findings_come_worst_first(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    session = FakeSession([[row("a", 11), row("b", 500), row("c", 3)]])
    outcome = runner(target, watchdog).run(make_check(tmp_path), session, lifetime=True).outcome
    assert outcome.status is Status.CRITICAL
    assert [(f.key, f.status) for f in outcome.findings] == [("b", Status.CRITICAL), ("a", Status.WARNING)]
    assert outcome.summary == "2 queues, 511 jobs"
    assert outcome.findings[1].message == "a holds 11 jobs"
    assert outcome.findings[1].fix == "drain a"
    assert [r.status for r in outcome.rows] == [Status.WARNING, Status.CRITICAL, Status.OK]
    assert outcome.database_seconds == 0.002


def test_null_is_neither_zero_nor_a_finding(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    check = make_check(tmp_path, warning="length < 5", critical="length < 1")
    outcome = runner(target, watchdog).run(check, FakeSession([[row("a", None)]]), lifetime=True).outcome
    assert outcome.status is Status.OK
    assert outcome.rows[0].values["length"] is None


def test_first_reading_of_counters_is_no_verdict(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    check = make_check(tmp_path, warning="done_rate > 5", critical="done_rate > 50")
    session = FakeSession([[row("a", done=100)], [row("a", done=180)], [row("a", done=20)]])
    run = runner(target, watchdog)
    first = run.run(check, session)
    assert (first.outcome.status, first.outcome.reason) == (Status.UNKNOWN, Reason.NO_BASELINE)
    assert first.outcome.rows[0].values["done"] == 100
    second = run.run(check, session, first.reading)
    assert second.outcome.findings[0].values["done_rate"] == pytest.approx(8.0)
    reset = run.run(check, session, second.reading)
    assert reset.outcome.rows[0].values["done_rate"] == pytest.approx(2.0), "a decrease counts from zero"


def test_a_moved_resets_column_means_counters_from_zero(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    check = make_check(tmp_path, warning="done_rate > 5", more="resets: length")
    session = FakeSession([[row("a", 1, done=100)], [row("a", 2, done=80)], [row("a", 3, done=130)]])
    run = runner(target, watchdog)
    first = run.run(check, session)
    second = run.run(check, session, first.reading)
    assert second.outcome.rows[0].values["done_rate"] == pytest.approx(8.0)
    third = run.run(check, session, second.reading)
    assert third.outcome.rows[0].values["done_rate"] == pytest.approx(5.0), "nothing fell, so something else was reset"


def test_lifetime_values_are_marked_and_have_no_rate(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    check = make_check(tmp_path, warning="delta(done) > 5", critical="rate(done) > 1")
    outcome = runner(target, watchdog).run(check, FakeSession([[row("a", done=100)]]), lifetime=True).outcome
    assert outcome.lifetime
    assert outcome.status is Status.WARNING


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([{"queue": "a"}], "missing done, length, worker"),
        ([{**row(), "extra": 1}], "undeclared extra"),
        ([row(), row()], "two rows have the key 'mail'"),
        ([row(length="many")], "length is str, not a number"),
        ([row(length=float("nan"))], "length is nan"),
        ([row(length=float("inf"))], "length is inf"),
        ([row(length=10**400)], "does not fit"),
        ([row(done=-1)], "counter done is negative"),
    ],
)
def test_a_result_that_does_not_fit_is_the_checks_error(
    tmp_path: Path, target: Target, watchdog: Watchdog, rows: list[RawRow], text: str
) -> None:
    outcome = runner(target, watchdog).run(make_check(tmp_path), FakeSession([rows]), lifetime=True).outcome
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.BAD_RESULT)
    assert text in outcome.summary
    assert outcome.rows == ()


def test_a_skip_says_why_and_what_would_help(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    session = FakeSession([Skipped(Reason.PRIVILEGE, "permission denied")])
    outcome = runner(target, watchdog).run(make_check(tmp_path), session, lifetime=True).outcome
    assert (outcome.status, outcome.reason) == (Status.SKIPPED, Reason.PRIVILEGE)
    assert outcome.remedy == "remedy for privilege"


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        ("{role: standby}", Reason.ROLE),
        ('{version: ">=17"}', Reason.VERSION),
        ('{version: "<16"}', Reason.VERSION),
        ("{extension: pg_stat_statements}", Reason.EXTENSION),
        ("{privilege: pg_monitor}", Reason.PRIVILEGE),
        ("{setting: track_io_timing}", Reason.SETTING),
        ("{flavour: aurora}", Reason.PLATFORM),
    ],
)
def test_what_does_not_apply_is_skipped_before_the_server_is_asked(
    tmp_path: Path, target: Target, watchdog: Watchdog, requires: str, reason: Reason
) -> None:
    check = make_check(tmp_path, more=f"requires: {requires}")
    outcome = runner(target, watchdog).run(check, FakeSession([]), lifetime=True).outcome
    assert (outcome.status, outcome.reason) == (Status.SKIPPED, reason)


def test_what_applies_runs(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    facts = replace(FACTS, role=Role.STANDBY, settings={"archive_mode": "always"}, privileges=frozenset({"pg_monitor"}))
    more = 'requires: {role: standby, version: ">=16", privilege: pg_monitor, setting: archive_mode != off}'
    outcome = (
        runner(target, watchdog)
        .run(make_check(tmp_path, more=more), FakeSession([[row()]], facts), lifetime=True)
        .outcome
    )
    assert outcome.status is Status.OK


def test_a_bug_in_one_check_is_an_outcome(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    outcome = (
        runner(target, watchdog).run(make_check(tmp_path), FakeSession([KeyError("secret")]), lifetime=True).outcome
    )
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.ERROR)
    assert "secret" not in outcome.summary


def test_an_ignored_finding_is_ok_until_its_date(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    for until, status in ((today, Status.OK), (today - datetime.timedelta(days=1), Status.WARNING)):
        ignoring = replace(target, ignore=(Ignore("long_*", "mail.*", "known", until),))
        session = FakeSession([[row("mail.in", 50)]])
        assert runner(ignoring, watchdog).run(make_check(tmp_path), session, lifetime=True).outcome.status is status


def test_past_the_deadline_the_session_is_cancelled_then_aborted(
    tmp_path: Path, target: Target, watchdog: Watchdog
) -> None:
    aborted = threading.Event()

    def frozen(_: Deadline) -> list[RawRow]:
        assert aborted.wait(5)
        raise ConnectionLost(Reason.CONNECTION_LOST, "socket shut", step="query")

    class Frozen(FakeSession):
        def abort(self) -> None:
            super().abort()
            aborted.set()

    session = Frozen([frozen])
    outcome = runner(target, watchdog).run(make_check(tmp_path, timeout="100ms"), session, lifetime=True).outcome
    assert (outcome.status, outcome.reason, outcome.step) == (Status.UNKNOWN, Reason.TIMEOUT, "query")
    assert "no answer within 0.1 s at step query" in outcome.summary
    assert (session.cancelled, session.aborted) == (1, 1)


def test_a_cancelled_query_keeps_the_session(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    cancelled = threading.Event()

    def slow(_: Deadline) -> list[RawRow]:
        assert cancelled.wait(5)
        raise CheckError(Reason.TIMEOUT, "canceling statement due to user request", step="query")

    class Slow(FakeSession):
        def cancel(self) -> None:
            super().cancel()
            cancelled.set()

    session = Slow([slow, [row()]])
    run = runner(target, watchdog)
    check = make_check(tmp_path, timeout="100ms")
    assert run.run(check, session, lifetime=True).outcome.reason is Reason.TIMEOUT
    assert run.run(check, session, lifetime=True).outcome.status is Status.OK
    assert not session.closed


def test_a_level_that_needs_no_interval_fires_at_the_first_reading(
    tmp_path: Path, target: Target, watchdog: Watchdog
) -> None:
    outcome = runner(target, watchdog).run(make_check(tmp_path), FakeSession([[row(length=50)]])).outcome
    assert outcome.status is Status.WARNING


def test_databases_that_were_hidden_are_named(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    class Partly(FakeSession):
        def measure(self, check: Check, deadline: Deadline) -> Measurement:
            seen = super().measure(check, deadline)
            return replace(seen, hidden={"vault": Skipped(Reason.PRIVILEGE, "hidden")})

    outcome = runner(target, watchdog).run(make_check(tmp_path), Partly([[row()]]), lifetime=True).outcome
    assert outcome.status is Status.OK
    assert outcome.summary == "nothing found; nothing seen in 1 databases: vault (privilege)"


@pytest.mark.parametrize(
    ("error", "is_paid"),
    [
        (CheckError(Reason.RESOURCES, "temporary file size exceeds temp_file_limit", step="query"), True),
        (ConnectionLost(Reason.CONNECTION_LOST, "the connection was lost", step="fetch"), True),
        (CheckError(Reason.TIMEOUT, "no answer in time", step="begin"), True),
        (CheckError(Reason.LOCK, "canceling statement due to lock timeout", step="query"), False),
        (CheckError(Reason.ERROR, "internal error", step="internal"), False),
    ],
)
def test_what_was_asked_in_vain_was_paid_for(
    tmp_path: Path, target: Target, watchdog: Watchdog, error: CheckError, is_paid: bool
) -> None:
    class Partly(FakeSession):
        def measure(self, check: Check, deadline: Deadline) -> Measurement:
            return replace(super().measure(check, deadline), failed={"shop": error})

    for session in (FakeSession([error]), Partly([[]]), Partly([[row()]])):
        outcome = runner(target, watchdog).run(make_check(tmp_path), session, lifetime=True).outcome
        assert outcome.status is Status.UNKNOWN
        if is_paid:
            assert outcome.database_seconds == outcome.duration_seconds > 0
        else:
            assert outcome.database_seconds == (0.002 if isinstance(session, Partly) else 0.0), "what the others took"


def test_an_answer_that_does_not_fit_was_paid_for(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    outcome = runner(target, watchdog).run(make_check(tmp_path), FakeSession([[row(), row()]]), lifetime=True).outcome
    assert (outcome.reason, outcome.database_seconds) == (Reason.BAD_RESULT, 0.002)
