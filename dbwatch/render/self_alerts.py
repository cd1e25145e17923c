"""Owns the alerts about dbwatch itself and about checks without an alert of their own: `alerts/self.rules.yaml`.

Refuses to know what any check measures. Checks of a target that is down say nothing here: one alert for it is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dbwatch.catalogue import Catalogue
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.model import Reason, Status
from dbwatch.render.alerts import KEEP_FIRING_SECONDS
from dbwatch.render.boards import SELF, board_uid
from dbwatch.render.expression import SAME_TARGET
from dbwatch.render.names import has_alert
from dbwatch.render.rules import Rule, rule_file, split

PAGE: Final = "docs/checks/dbwatch.md"

_VARIABLES: Final = (
    "var-job={{ $labels.job | urlquery }}{{ with $labels.target }}&var-target={{ . | urlquery }}{{ end }}"
)
"""An empty `var-target` would choose no target at all, and leave the dashboard empty."""
_SEEN: Final = "count_over_time(dbwatch_build_info[1d])"
_TOLD: Final = 'ALERTS{alertname="DbwatchDown",alertstate="firing"}'
_HAD: Final = "max by (job, instance, target) (last_over_time(dbwatch_target_up[3h]))"
_MISSED: Final = "sum by (job, instance, target) (increase(dbwatch_check_missed_total[30m]))"
_RUN: Final = "sum by (job, instance, target) (increase(dbwatch_check_runs_total[30m]))"
_UP: Final = f"and {SAME_TARGET} dbwatch_target_up == 1"
_OF: Final = "{{ $labels.target }}: {{ $labels.check }}"

_NO_FAILURE: Final = (
    *(Reason.VERSION, Reason.ROLE, Reason.EXTENSION, Reason.PRIVILEGE, Reason.PLATFORM, Reason.SETTING),
    *(Reason.STATISTICS, Reason.NO_DATABASE, Reason.NO_BASELINE, Reason.BUDGET),
)


@dataclass(frozen=True, slots=True)
class SelfAlert:
    """An alert with its runbook."""

    name: str
    severity: Status
    expr: str
    for_seconds: float
    summary: str
    description: str
    meaning: str
    mitigation: str
    kind: str = "cause"


def self_alerts(catalogue: Catalogue) -> tuple[SelfAlert, ...]:
    """All of them, in the order of the file."""
    return (*_daemon(), *_targets(catalogue), *_runs(), *_verdicts(catalogue))


def self_alert_file(catalogue: Catalogue, runbook_base: str) -> tuple[str, str]:
    """Path and text of the rule file."""
    rules = [_rule(alert, runbook_base) for alert in self_alerts(catalogue)]
    text = rule_file("Alerts of dbwatch about itself", "dbwatch/render/self_alerts.py", split("dbwatch.self", rules))
    return "alerts/self.rules.yaml", text


def _rule(alert: SelfAlert, runbook_base: str) -> Rule:
    return Rule(
        alert=alert.name,
        expr=alert.expr,
        for_seconds=alert.for_seconds,
        keep_firing_for_seconds=KEEP_FIRING_SECONDS[alert.severity],
        labels={"severity": str(alert.severity), "component": "dbwatch", "kind": alert.kind},
        annotations={
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{runbook_base}/dbwatch.md#{alert.name.lower()}",
            "dashboard_url": f"/d/{board_uid(SELF)}?{_VARIABLES}",
            "command": f"dbwatch explain {alert.name}",
        },
    )


def _daemon() -> tuple[SelfAlert, ...]:
    return (
        SelfAlert(
            "DbwatchDown",
            Status.CRITICAL,
            # Whatever its job is called: an instance that was a dbwatch within the last day. Without the day's
            # memory a dead daemon takes every one of its alerts with it; the alert remembers longer than that, so that
            # it does not say "resolved" on the second day of an outage.
            # The average, so that one answer among failures does not hide them.
            f"avg_over_time(up[5m]) < 0.5\nand on (job, instance) (\n  {_SEEN} > 0\n  or {_TOLD}\n)",
            120,
            "Prometheus cannot scrape dbwatch.",
            "{{ $labels.job }} at {{ $labels.instance }} does not answer: nothing of its targets is known.",
            "A daemon that was scraped within the last day no longer answers. All its other alerts are blind.",
            "Is the process there (`systemctl status dbwatch`, `kubectl get pods`)? Did it run out of memory? Do the "
            "port, TLS and basic auth of the scrape still fit its web configuration? One that was removed on purpose "
            "is silent as soon as Prometheus no longer scrapes its address. An alert cannot tell that Prometheus "
            "itself is gone: use a dead man's switch for that.",
            "symptom",
        ),
        SelfAlert(
            "DbwatchMissing",
            Status.CRITICAL,
            # Where nothing is left to scrape, `up` is absent and not 0. A pod that takes the place of another has an
            # address of its own: when it never starts, its `up` is 0 and nobody remembers it as a dbwatch.
            f"count by (job) ({_SEEN}) > 0\nunless on (job) (up and on (job, instance) {_SEEN} > 0)",
            600,
            "Prometheus has no dbwatch to scrape any more.",
            "{{ $labels.job }} had a dbwatch within the last day, and now no address of the job leads to one.",
            "The scrape job finds no target: the service discovery lost it, nothing runs there, or what took its place "
            "under a new address has never answered. DbwatchDown cannot say so, since no daemon that it knows fails. "
            "Every alert about its targets is blind.",
            "Look at the targets page of Prometheus, then at the discovery: labels of the pod, the service, the file. "
            "Was it scaled to none? Does the new pod crash at its start (`kubectl logs`, `dbwatch validate`)? A job "
            "that was removed on purpose is forgotten after a day.",
            "symptom",
        ),
        SelfAlert(
            "DbwatchSchedulerStuck",
            Status.CRITICAL,
            "time() - dbwatch_scheduler_tick_timestamp_seconds > 60",
            120,
            "The scheduler of dbwatch stands still.",
            "{{ $labels.instance }}: the last tick was {{ $value | humanizeDuration }} ago; no check runs.",
            "The daemon answers, but starts no checks. It ticks every 5 seconds; `/healthz` fails as well.",
            "Restart the daemon (an orchestrator with a liveness probe on `/healthz` has done so already) and report "
            "the log before it. A clock that differs by a minute between the daemon and Prometheus looks the same.",
            "symptom",
        ),
        SelfAlert(
            "DbwatchConfigReloadFailed",
            Status.WARNING,
            "dbwatch_config_last_reload_successful == 0",
            300,
            "The last reload of the configuration was refused.",
            "{{ $labels.instance }} runs on an older configuration than the file holds.",
            "The file was changed and is not valid; the daemon keeps the configuration it had.",
            "`dbwatch validate` with the same `--config` names every problem with its line. Reload when it is silent.",
        ),
    )


def _targets(catalogue: Catalogue) -> tuple[SelfAlert, ...]:
    probes = sorted({check.name for check in catalogue if check.probe == CONNECT_PROBE and has_alert(check)})
    # A connect check that has spoken already is an alert with a better text; the target is not down twice.
    status = f'dbwatch_check_status{{check=~"{"|".join(probes)}"}}'
    spoken = f"\nunless {SAME_TARGET} ({status} == 1 or {status} == 2)" if probes else ""
    return (
        SelfAlert(
            "DbwatchTargetDown",
            Status.CRITICAL,
            f"dbwatch_target_up == 0{spoken}",
            120,
            "A target does not answer.",
            "{{ $labels.target }} ({{ $labels.engine }}) cannot be reached by {{ $labels.instance }}.",
            "dbwatch has no session to the target and cannot open one. Silent while the connect check of the engine "
            "says so itself.",
            "`dbwatch check` with the same `--config` and the target's name says at which step it ends: name, port, "
            "TLS, password, too many connections. `dbwatch doctor` says what is missing for the role.",
            "symptom",
        ),
        SelfAlert(
            "DbwatchTargetMissing",
            Status.WARNING,
            # Lost by a daemon that runs, or by one that is gone from its job while no other there watches the target.
            f"{_HAD}\nunless {SAME_TARGET} dbwatch_target_up\nand on (job, instance) up == 1\n"
            f"or (\n  {_HAD}\n  unless on (job, target) dbwatch_target_up\n  unless on (job, instance) up\n)",
            600,
            "A target is no longer watched.",
            "{{ $labels.target }} was watched by {{ $labels.instance }} until a while ago, and nobody watches it in "
            "its place.",
            "The daemon runs and does not know a target that it had within the last three hours, or the daemon itself "
            "went away and none of its job has taken the target over. A configured target always has its series, also "
            "when it is down, so the configuration lost it (a wrong file, a default one), or a new pod does not start.",
            "`dbwatch validate` and `dbwatch list` with the configuration of the daemon show what it reads. Removed on "
            "purpose: this ends by itself three hours after.",
        ),
        SelfAlert(
            "DbwatchTargetFlapping",
            Status.WARNING,
            "changes(dbwatch_target_up[1h]) >= 6",
            0,
            "A target comes and goes.",
            "{{ $labels.target }} was lost or found {{ $value }} times within an hour.",
            "Three outages or more within an hour, each too short for the alert about a target that is down. Clients "
            "see the same.",
            "The log of the server at those times: crashes and restarts, `too many clients`, a failing network. "
            "`dbwatch check TARGET` at such a moment names the step at which it ends.",
            "symptom",
        ),
        SelfAlert(
            "DbwatchCostHigh",
            Status.WARNING,
            "rate(dbwatch_target_query_seconds_total[15m]) > 0.2",
            1800,
            "The checks keep a target busy.",
            "{{ $labels.target }} spends {{ $value | humanizePercentage }} of one connection's time on checks.",
            "The queries of dbwatch run more than a fifth of the time. They run one at a time, so this is the most "
            "that they can cost; it is still more than a monitor should.",
            "The fleet dashboard shows the slow checks. Raise their `intervals`, lower the `profile`, or exclude "
            "databases that need no look.",
        ),
        SelfAlert(
            "DbwatchBudgetExceeded",
            Status.WARNING,
            'count by (job, instance, target) (dbwatch_check_reason{reason="budget"})',
            1800,
            "Checks run less often than they should.",
            "{{ $labels.target }}: {{ $value }} checks wait longer than their interval, because the server spends more "
            "time on them than its budget allows.",
            "The checks of a target may cost its server so much time, by default half a percent of one core. They cost "
            "more, so the dearest run less often: at most 16 times their interval. Their verdicts and values stay, "
            "and are older than usual; what they watch is noticed later.",
            "The dashboard about dbwatch itself shows what the dearest checks cost. Either the server is slow: mend "
            "that. Or it is large: raise the `intervals` of the dear checks, disable them, or raise the target's "
            "`budget`.",
        ),
    )


def _runs() -> tuple[SelfAlert, ...]:
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


def _verdicts(catalogue: Catalogue) -> tuple[SelfAlert, ...]:
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
