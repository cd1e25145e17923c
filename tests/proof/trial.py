"""Owns the trial of every rule against what real servers showed: does it fire, is it silent, does it end.

Two questions go to promtool. The lives: captured pages held for as long as the alerts wait, one scrape missed, then the
page of a healthy server. The edges: captured rows moved just over and just under each level, the rules without delay.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from dbwatch.catalogue import Catalogue, Check
from dbwatch.exposition.labels import clean
from dbwatch.levels.nodes import Call
from dbwatch.model import Status
from dbwatch.render import alert_name, render_all
from dbwatch.render.alerts import KEEP_FIRING_SECONDS, for_seconds
from dbwatch.render.expression import alert_expression, window_seconds
from dbwatch.render.names import has_alert
from tests.harness.promtool import run_rule_tests
from tests.proof.capture import Capture, CapturedRow
from tests.proof.crossing import crossed, edges, raised
from tests.proof.series import Page, Timeline, as_by_default, at_rest, deep, forecast_columns, held, page_of, with_row

QUICK_SECONDS, SLOW_SECONDS = 60.0, 300.0

Fired = frozenset[tuple[str, str]]
"""Alerts by name and severity."""


@dataclass(frozen=True, slots=True)
class Life:
    """One instance of a trial: what it shows, what comes after, and what has to fire meanwhile.

    `allowed` may fire as well: a forecast that goes on as it began gets worse.
    """

    name: str
    check: Check
    page: Page
    after: Page | None
    expected: Fired
    allowed: Fired = frozenset()


@dataclass(slots=True)
class Findings:
    """What came out. `rules` are (alert, severity) of every rule that a capture could speak of."""

    rules: set[tuple[str, str]] = field(default_factory=set)
    fired: set[tuple[str, str]] = field(default_factory=set)
    raised: set[tuple[str, str]] = field(default_factory=set)
    silent: set[tuple[str, str]] = field(default_factory=set)
    edged: set[tuple[str, str]] = field(default_factory=set)
    lives: int = 0
    edges: int = 0
    troubles: list[str] = field(default_factory=list)

    def not_fired(self) -> list[tuple[str, str]]:
        return sorted(self.rules - self.fired - self.raised)

    def not_silent(self) -> list[tuple[str, str]]:
        return sorted(self.rules - self.silent)

    def told(self, total: int) -> str:
        """The count, in one line; `total` are all rules there are."""
        fire = self.fired | self.raised
        part = f" of {total}" if total != len(self.rules) else ""
        return (
            f"alerts {len(self.rules)}{part}, proven to fire {len(fire)} ({len(self.fired)} by the fault as it was, "
            f"{len(self.raised)} by the same fault raised to the limit), proven silent {len(self.silent)} "
            f"({len(self.edged)} of them just under the limit)"
        )


def judge(catalogue: Catalogue, captures: Sequence[Capture], folder: Path) -> Findings:
    """Try the rules of every check that has a capture."""
    checks = {(str(check.engine), check.name): check for check in catalogue if has_alert(check)}
    told: dict[tuple[str, str], list[Capture]] = defaultdict(list)
    for capture in captures:
        if (capture.engine, capture.check) in checks:
            told[capture.engine, capture.check].append(capture)
    found = Findings()
    lives: list[Life] = []
    near: list[Life] = []
    for who, own in sorted(told.items()):
        trial = _OfCheck(checks[who], own, shared=len(catalogue.named(who[1])) > 1)
        lives += trial.lives(found)
        near += trial.edges(found)
    found.lives, found.edges = len(lives), len(near)
    rules = Rules(catalogue, folder)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_live, rules, group) for group in _alike(lives, _patience)]
        jobs += [pool.submit(_cross, rules, group) for group in _by_history(near)]
        for job in jobs:
            found.troubles += job.result()
    return found


def cross_all(rules: Rules, lives: Sequence[Life]) -> list[str]:
    """Which of these differ from what is expected, by rules that do not wait."""
    return [trouble for group in _by_history(lives) for trouble in _cross(rules, group)]


def _by_history(lives: Sequence[Life]) -> list[list[Life]]:
    return _alike(lives, lambda check: edge_seconds([check]))


class _OfCheck:
    """The trials of one check's rules."""

    def __init__(self, check: Check, captures: Sequence[Capture], *, shared: bool) -> None:
        self._check = check
        self._captures = sorted(captures, key=lambda capture: capture.name)
        self._literal = {
            status for status in check.levels if alert_expression(check, status, shared=shared).reason is None
        }
        quiet = [capture for capture in self._captures if capture.status == "ok" and not capture.findings]
        # A forecast sees the way from one server's numbers to another's, which no server goes.
        self._after = at_rest(page_of(quiet[0], check)) if quiet and not forecast_columns(check) else None

    def lives(self, found: Findings) -> Iterator[Life]:
        check = self._check
        proven: set[Status] = set()
        allowed = self._named(frozenset(check.levels)) if forecast_columns(check) else frozenset()
        for capture in self._captures:
            statuses = self._says(capture)
            expected = self._named(statuses)
            if not capture.overridden:
                proven |= statuses
            proven |= statuses - self._literal
            found.silent |= self._named(frozenset(check.levels)) - expected
            yield Life(capture.name, check, page_of(capture, check), self._after, expected, allowed)
        found.rules |= self._named(frozenset(check.levels))
        found.fired |= self._named(frozenset(proven))
        for status in check.levels:
            if status in proven or status not in self._literal:
                continue
            crossing = self._crossing(status)
            if crossing is None:
                continue
            made, row = crossing
            page = with_row(as_by_default(page_of(made, check)), made, check, row)
            rows = [row if other.labels == row.labels else other for other in made.rows]
            expected = self._named(self._by_level(made, rows))
            found.raised |= self._named(frozenset({status}))
            yield Life(f"{made.name}, raised to {status}", check, page, self._after, expected, allowed)

    def edges(self, found: Findings) -> Iterator[Life]:
        check = self._check
        ends_at = edge_seconds([check])
        for status in check.levels:
            if status not in self._literal:
                continue
            crossing = self._crossing(status)
            if crossing is None:
                continue
            capture, row = crossing
            others = [other for other in capture.rows if other.labels != row.labels]
            page = _only(as_by_default(page_of(capture, check)), check, others)
            for edge in edges(check, status, row, capture.elapsed_seconds):
                found.edged |= self._named(frozenset({status}))
                for side, moved in (("over", edge.over), ("under", edge.under)):
                    expected = self._named(self._by_level(capture, [moved]))
                    name = f"{capture.name}, {edge.column} just {side} {status}: {moved.values[edge.column]}"
                    shown = with_row(page, capture, check, moved, ends_at=ends_at)
                    yield Life(name, check, shown, None, expected)

    def _says(self, capture: Capture) -> frozenset[Status]:
        """The levels whose rules must fire on a capture as it is."""
        if capture.overridden:
            return frozenset(Status(status) for status in capture.findings)
        return self._by_level(capture, capture.rows)

    def _by_level(self, capture: Capture, rows: Sequence[CapturedRow]) -> frozenset[Status]:
        """By the catalogue's own thresholds; rules that follow the verdict follow the one that was captured."""
        statuses = frozenset(status for row in rows for status in crossed(self._check, row, capture.elapsed_seconds))
        verdict = frozenset(Status(status) for status in capture.findings)
        return (statuses & self._literal) | (verdict - self._literal)

    def _crossing(self, status: Status) -> tuple[Capture, CapturedRow] | None:
        """A captured row that crosses the level, or that was raised to it."""
        check = self._check
        firing_first = sorted(self._captures, key=lambda capture: str(status) not in capture.findings)
        rows = [(capture, row) for capture in firing_first for row in capture.rows]
        for capture, row in rows:
            if status in crossed(check, row, capture.elapsed_seconds):
                return capture, row
        for known_only in (True, False):
            for capture, row in rows:
                made = raised(check, status, row, capture.elapsed_seconds, known_only=known_only)
                if made is not None:
                    return capture, made
        return None

    def _named(self, statuses: frozenset[Status]) -> Fired:
        return frozenset((alert_name(self._check), str(status)) for status in statuses)


def _only(page: Page, check: Check, others: Iterable[CapturedRow]) -> Page:
    """The page without the series of other rows: an edge is about one."""
    metrics = {column.metric for column in check.exported.values()}
    gone = [{(name, clean(value)) for name, value in row.labels.items()} for row in others]
    return {
        key: point
        for key, point in page.items()
        if key[0] not in metrics or not any(labels and labels <= set(key[1]) for labels in gone)
    }


# -- promtool ---------------------------------------------------------------------------------------------------------

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FIRING: Final = 'group by (instance, alertname, severity) (ALERTS{alertstate="firing",component!="dbwatch"})'


def edge_seconds(checks: Iterable[Check]) -> float:
    """How much history the longest window of these needs."""
    pace = max(_pace(check) for check in checks)
    windows = [window_seconds(check) for check in checks if _looks_back(check)]
    return math.ceil(max([10 * pace, *windows]) / pace + 2) * pace


def _pace(check: Check) -> float:
    return SLOW_SECONDS if check.every >= SLOW_SECONDS else QUICK_SECONDS


def _looks_back(check: Check) -> bool:
    return any(isinstance(node, Call) for level in check.levels.values() for node in deep(level.root))


def _patience(check: Check) -> int:
    """Alerts that wait a day are tried apart from those that wait minutes: promtool walks every step for all."""
    wait = max(for_seconds(check, status) for status in check.levels)
    return sum(wait > bound for bound in (300, 1800, 7200))


def _alike(lives: Sequence[Life], key: Callable[[Check], float]) -> list[list[Life]]:
    groups: dict[tuple[float, float], list[Life]] = defaultdict(list)
    for life in lives:
        groups[_pace(life.check), key(life.check)].append(life)
    return list(groups.values())


def _live(rules: Rules, lives: Sequence[Life]) -> list[str]:
    pace = _pace(lives[0].check)
    waits = [for_seconds(life.check, status) for life in lives for status in life.check.levels]
    looks = max([window_seconds(life.check) for life in lives if _looks_back(life.check)], default=0.0)
    kept = max(life.check.alert.keep_firing_for or max(KEEP_FIRING_SECONDS.values()) for life in lives)
    missed = math.ceil((max(waits) + looks) / pace) + 3
    over = missed + 4
    end = over + math.ceil((looks + kept) / pace) + 3
    line = Timeline(pace, missed, over, end)
    series = [entry for n, life in enumerate(lives) for entry in line.series(str(n), life.page, life.after)]
    moments = {"fires": missed - 1, "missed a scrape": missed, "goes on": over - 1, "is over": end - 1}
    wanted = {str(n): life.expected for n, life in enumerate(lives)}
    expected = {line.at(step): ({} if step == end - 1 else wanted) for step in moments.values()}
    said = _ask(rules.of(lives), series, pace, pace, expected)
    names = {line.at(step): moment for moment, step in moments.items()}
    return [
        f"{lives[int(who)].name} ({names.get(at, at)}): {what}"
        for at, who, what in said
        if names.get(at) == "is over" or not any(what == f"{' '.join(rule)} fires" for rule in lives[int(who)].allowed)
    ]


def _cross(rules: Rules, lives: Sequence[Life]) -> list[str]:
    pace, end = _pace(lives[0].check), edge_seconds([lives[0].check])
    steps = round(end / pace) + 1
    series = [entry for n, life in enumerate(lives) for entry in held(str(n), life.page, steps, pace)]
    expected = {f"{round(end)}s": {str(n): life.expected for n, life in enumerate(lives)}}
    said = _ask(rules.of(lives, at_once=True), series, pace, end, expected)
    return [f"{lives[int(who)].name}: {what}" for _, who, what in said]


def _ask(
    rules: Path,
    series: list[dict[str, str]],
    pace: float,
    evaluated: float,
    expected: Mapping[str, Mapping[str, Fired]],
) -> list[tuple[str, str, str]]:
    """(time, instance, what differs) of everything that does."""
    tests = [
        {
            "expr": _FIRING,
            "eval_time": at,
            "exp_samples": [
                {"labels": f'{{alertname="{name}",instance="{who}",severity="{severity}"}}', "value": 1}
                for who, fired in wanted.items()
                for name, severity in sorted(fired)
            ],
        }
        for at, wanted in expected.items()
    ]
    document: dict[str, Any] = {
        "rule_files": [str(rules)],
        "evaluation_interval": f"{round(evaluated)}s",
        "tests": [{"interval": f"{round(pace)}s", "input_series": series, "promql_expr_test": tests}],
    }
    passed, said = run_rule_tests(document)
    if passed:
        return []
    return _differences(said) or [(next(iter(expected)), "0", f"promtool: {said[:2000]}")]


_SAMPLE: Final = re.compile(r'\{alertname="(\w+)", instance="(\d+)", severity="(\w+)"\}')


def _differences(said: str) -> list[tuple[str, str, str]]:
    found = []
    for part in re.split(r'(?=expr: ")', said)[1:]:
        at = re.search(r"time: ([\dhms.]+)", part)
        wanted, _, got = part.partition("got:")
        exp, was = set(_SAMPLE.findall(wanted)), set(_SAMPLE.findall(got))
        when = _seconds(at[1]) if at is not None else ""
        found += [(when, who, f"{name} {severity} does not fire") for name, who, severity in sorted(exp - was)]
        found += [(when, who, f"{name} {severity} fires") for name, who, severity in sorted(was - exp)]
    return found


def _seconds(text: str) -> str:
    sizes = {"h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"([\d.]+)([hms])", text)
    return f"{round(sum(float(number) * sizes[unit] for number, unit in parts))}s"


class Rules:
    """The bundled rules, by the alerts that a trial is about."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._rules = [
            rule
            for name, text in render_all(catalogue).items()
            if name.endswith(".rules.yaml")
            for group in yaml.load(text, Loader=_Loader)["groups"]
            for rule in group["rules"]
        ]

    def of(self, lives: Iterable[Life], *, at_once: bool = False) -> Path:
        """A file with the rules of these checks; `at_once` leaves out how long they wait and linger."""
        names = {alert_name(life.check) for life in lives}
        left_out = {"for", "keep_firing_for", "annotations"} if at_once else set()
        rules = [
            {key: value for key, value in rule.items() if key not in left_out}
            for rule in self._rules
            if rule["alert"] in names
        ]
        path = self._folder / f"trial-{next(self._numbers)}.rules.json"
        # JSON is YAML, and written in no time.
        path.write_text(json.dumps({"groups": [{"name": "trial", "rules": rules}]}), encoding="utf-8")
        return path
