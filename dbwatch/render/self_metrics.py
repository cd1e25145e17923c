"""Owns the list of metrics that dbwatch exports about itself and its checks, for rules, dashboards and docs.

Refuses to collect them: the exposition does, and a test holds the two lists equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class SelfMetric:
    """One metric family; `labels` beside the ones Prometheus adds."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


_CHECK: Final = ("target", "check")

SELF_METRICS: Final = (
    SelfMetric(
        "dbwatch_target_up",
        "gauge",
        "1 when the target answers, 0 when it does not. Always present, one for each configured target.",
        ("target", "engine"),
    ),
    SelfMetric(
        "dbwatch_target_info",
        "gauge",
        "Always 1; version, role and flavour of the server are labels. Absent until it was reached once.",
        ("target", "engine", "version", "role", "flavour"),
    ),
    SelfMetric(
        "dbwatch_target_excess_privilege",
        "gauge",
        "Always 1; a right of the monitor's role that it does not need, such as SUPERUSER. Absent when there is none.",
        ("target", "privilege"),
    ),
    SelfMetric(
        "dbwatch_check_status",
        "gauge",
        "The verdict of a check: 0 ok, 1 warning, 2 critical, 3 unknown, 4 skipped.",
        _CHECK,
    ),
    SelfMetric(
        "dbwatch_check_reason",
        "gauge",
        "Always 1; why a check is unknown or skipped, and `budget` while it runs less often than it would by itself.",
        (*_CHECK, "reason"),
    ),
    SelfMetric(
        "dbwatch_check_findings",
        "gauge",
        "How many rows of a check are at this status, warning or critical. Absent when there are none.",
        (*_CHECK, "status"),
    ),
    SelfMetric(
        "dbwatch_check_overridden",
        "gauge",
        "1 when this target's configuration changes the thresholds, the ignored findings or the interval of a "
        "check, or its budget the interval. Alerts then follow the daemon's verdict and not the default threshold.",
        _CHECK,
    ),
    SelfMetric(
        "dbwatch_check_last_success_timestamp_seconds",
        "gauge",
        "When a check last gave an answer, whatever it was. Absent until then.",
        _CHECK,
    ),
    SelfMetric(
        "dbwatch_check_interval_seconds",
        "gauge",
        "How often a check runs now: its interval, or a multiple of it while the budget of the target is exceeded.",
        _CHECK,
    ),
    SelfMetric(
        "dbwatch_check_duration_seconds", "histogram", "How long the runs of a target's checks took.", ("target",)
    ),
    SelfMetric(
        "dbwatch_check_runs_total", "counter", "Runs of a target's checks by their result.", ("target", "result")
    ),
    SelfMetric(
        "dbwatch_check_query_seconds_total",
        "counter",
        "Time that the target spent on a check's queries; of its 10 to 20 dearest checks.",
        _CHECK,
    ),
    SelfMetric(
        "dbwatch_check_missed_total",
        "counter",
        "Runs of a target's checks that were left out because the one before had not ended.",
        ("target",),
    ),
    SelfMetric(
        "dbwatch_series_dropped_total",
        "counter",
        "Rows and series of a check that were left out: too many, of equal labels, or not a number. Absent until then.",
        _CHECK,
    ),
    SelfMetric(
        "dbwatch_threshold",
        "gauge",
        "The first number of a check's level that is in force for this target.",
        (*_CHECK, "level"),
    ),
    SelfMetric(
        "dbwatch_target_query_seconds_total",
        "counter",
        "Time that the target spent on our queries: what the monitor costs.",
        ("target",),
    ),
    SelfMetric(
        "dbwatch_target_budget_ratio",
        "gauge",
        "The share of a core of the target's time that our queries may cost. Absent without a budget.",
        ("target",),
    ),
    SelfMetric(
        "dbwatch_config_last_reload_successful",
        "gauge",
        "1 when the configuration file was good the last time it was read, 0 when the old one is still in use.",
    ),
    SelfMetric(
        "dbwatch_scheduler_tick_timestamp_seconds",
        "gauge",
        "When the scheduler last proved that it is alive; it does so every 5 seconds.",
    ),
    SelfMetric(
        "dbwatch_log_dropped_total",
        "counter",
        "Log events that were lost because nobody read them fast enough, or because they could not be written.",
    ),
    SelfMetric("dbwatch_threads", "gauge", "Threads of the daemon: a few of its own and one for each target."),
    SelfMetric("dbwatch_build_info", "gauge", "Always 1; the versions are labels.", ("version", "python")),
)
