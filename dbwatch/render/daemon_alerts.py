"""Owns the alerts about a daemon and its targets: is it there, does it reach them, what does it cost them?"""

from __future__ import annotations

from typing import Final

from dbwatch.catalogue import Catalogue
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.model import Status
from dbwatch.render.expression import SAME_TARGET
from dbwatch.render.names import has_alert
from dbwatch.render.self_alert import SelfAlert

_SEEN: Final = "count_over_time(dbwatch_build_info[1d])"
_TOLD: Final = 'ALERTS{alertname="DbwatchDown",alertstate="firing"}'
_HAD: Final = "max by (job, instance, target) (last_over_time(dbwatch_target_up[3h]))"
_TAKEN_OVER: Final = "(dbwatch_target_up unless dbwatch_target_up offset 3h)"


def daemon_alerts() -> tuple[SelfAlert, ...]:
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


def target_alerts(catalogue: Catalogue) -> tuple[SelfAlert, ...]:
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
            # Of two that watch the same each is missed; a shard that has it now, and had not, took it over.
            f"{_HAD}\nunless {SAME_TARGET} dbwatch_target_up\nunless on (job, target) {_TAKEN_OVER}\n"
            "and on (job, instance) up == 1\n"
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
