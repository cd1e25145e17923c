"""Owns the alerts about the runs of checks, and about verdicts that no other alert tells.

Checks of a target that is down say nothing here: one alert for it is enough.
"""

from __future__ import annotations

from typing import Final

from dbwatch.catalogue import Catalogue
from dbwatch.model import Reason, Status
from dbwatch.render.expression import SAME_TARGET
from dbwatch.render.self_alert import SelfAlert

_MISSED: Final = "sum by (job, instance, target) (increase(dbwatch_check_missed_total[30m]))"
_RUN: Final = "sum by (job, instance, target) (increase(dbwatch_check_runs_total[30m]))"
_UP: Final = f"and {SAME_TARGET} dbwatch_target_up == 1"
_OF: Final = "{{ $labels.target }}: {{ $labels.check }}"

_NO_FAILURE: Final = (
    *(Reason.VERSION, Reason.ROLE, Reason.EXTENSION, Reason.PRIVILEGE, Reason.PLATFORM, Reason.SETTING),
    *(Reason.STATISTICS, Reason.NO_DATABASE, Reason.NO_BASELINE, Reason.BUDGET),
)


def run_alerts() -> tuple[SelfAlert, ...]:
    return (
        SelfAlert(
            "DbwatchCheckStale",
            Status.WARNING,
            "time() - dbwatch_check_last_success_timestamp_seconds > 3 * dbwatch_check_interval_seconds + 60\n"
            f"unless on (job, instance, target, check) dbwatch_check_status == 4\n{_UP}",
            60,
            "A check has stopped answering.",
            f"{_OF} gave its last answer {{{{ $value | humanizeDuration }}}} ago.",
            "Three runs in a row gave no answer, or the check does not run at all. Its samples are gone from the "
            "metrics, so its own alert cannot fire. Silent for a check that is skipped and a target that is down.",
            "`dbwatch check TARGET --check NAME` shows the reason: a time limit, a lock, a missing grant. The label "
            "`reason` of `dbwatch_check_reason` says the same for the daemon.",
        ),
        SelfAlert(
            "DbwatchCheckUnknown",
            Status.WARNING,
            "dbwatch_check_status == 3\n"
            'unless on (job, instance, target, check) dbwatch_check_reason{reason="no_baseline"}\n'
            f"{_UP}",
            900,
            "A check cannot give an answer.",
            f"{_OF} has been unknown for 15 minutes.",
            "The check runs and fails, so nothing is known about what it watches. Unknown is neither ok nor zero. "
            "A first reading of counters is not meant: its verdict follows with the second.",
            "`dbwatch explain NAME` says what the check needs, `dbwatch doctor TARGET` what this role lacks, with the "
            "statement that grants it. A check that cannot work here can be disabled for the target.",
        ),
        SelfAlert(
            "DbwatchCriticalUnknown",
            Status.CRITICAL,
            # What it was two minutes ago starts it, and while it fires it remembers itself. A sub-query over half an
            # hour would read every series of the status thirty times.
            "dbwatch_check_status == 3\n"
            "and on (job, instance, target, check) (\n"
            "  dbwatch_check_status offset 2m == 2\n"
            '  or ALERTS{alertname="DbwatchCriticalUnknown",alertstate="firing"}\n'
            f")\n{_UP}",
            60,
            "A check that was critical cannot give an answer any more.",
            f"{_OF} was critical and is unknown now.",
            "Its own alert ends when its numbers are gone, and nobody has said that the fault is over. A server in "
            "trouble often becomes too slow to be asked.",
            "Take the fault as going on. `dbwatch check TARGET --check NAME` asks again, `dbwatch explain NAME` says "
            "what to do, and the reason of the check says why it has no answer.",
            "symptom",
        ),
        SelfAlert(
            "DbwatchCheckErrors",
            Status.WARNING,
            _share_of_errors(),
            900,
            "A check fails more often than not.",
            f"{_OF} had no answer for more than half of the last 15 minutes, and an answer in between.",
            "More than half of the runs fail, and some do not, so the check is neither unknown for long nor stale. "
            "What it watches is seen now and then.",
            "`dbwatch_check_reason` says why while it is unknown: mostly a time limit that is just met, or a lock. "
            "Raise the interval or `connect_timeout`, or find out what the server waits for at these times.",
        ),
        SelfAlert(
            "DbwatchChecksMissed",
            Status.WARNING,
            # One run that holds the lane for half a minute makes each of the quick ones miss one: that is no shortage.
            f"{_MISSED} > 10\nand {_MISSED} > 0.1 * ({_MISSED} + {_RUN})",
            900,
            "Runs of checks are left out.",
            "{{ $labels.target }}: {{ $value | humanize }} runs were left out within 30 minutes, more than a "
            "tenth of all.",
            "The checks of a target run one after another, and together they take longer than their intervals allow.",
            "The fleet dashboard shows how long each takes. Raise the `intervals` of the slow ones, or find out why "
            "the server answers slowly.",
        ),
        SelfAlert(
            "DbwatchSeriesDropped",
            Status.WARNING,
            # What is cut off comes after the worst: of a check that found nothing, it is nothing.
            "increase(dbwatch_series_dropped_total[3h]) > 0\n"
            "and on (job, instance, target, check) (dbwatch_check_status == 1 or dbwatch_check_status == 2)",
            900,
            "A check has found more than it may export.",
            f"{_OF} left out {{{{ $value | humanize }}}} rows or series within 3 hours, and there may be findings "
            "among them.",
            "Every check has a limit of rows, so that a database with a million tables cannot take down Prometheus. "
            "Rows that cannot be told apart are left out as well. Silent while the check finds nothing: the worst "
            "come first.",
            "Mend what is found, and the rest moves up. Exclude databases that need no look. In a check of your own, "
            "see that `key` tells the rows apart and that no column is NaN.",
        ),
    )


def _share_of_errors() -> str:
    by = "sum by (job, instance, target, check)"
    # Why a check is unknown has a series only while it is. Those that are skipped are left out by their reasons.
    no_failure = "|".join(_NO_FAILURE)
    failed = f'{by} (count_over_time(dbwatch_check_reason{{reason!~"{no_failure}"}}[15m]))'
    total = f"{by} (count_over_time(dbwatch_check_status[15m]))"
    # All the time is DbwatchCheckUnknown's business; a target that was down is over before this has waited.
    return f"{failed} > 0.5 * {total}\nand {failed} < 0.95 * {total}\n{_UP}"


def verdict_alerts(catalogue: Catalogue) -> tuple[SelfAlert, ...]:
    known = sorted({check.name for check in catalogue if check.levels})
    matcher = f'{{check!~"{"|".join(known)}"}}' if known else ""
    return tuple(
        SelfAlert(
            f"DbwatchCheck{str(status).capitalize()}",
            status,
            f"dbwatch_check_status{matcher} == {status.number}",
            60 if status is Status.CRITICAL else 300,
            f"A check of your own is {status}.",
            f"{_OF} is {status}.",
            "A check that came from `checks_dir:` found something. The bundled checks have alerts of their own and "
            "are left out here; `dbwatch render` with your configuration writes such alerts for yours, too.",
            "The status page and `dbwatch check TARGET --check NAME` show the findings and their fix.",
        )
        for status in (Status.CRITICAL, Status.WARNING)
    )
