"""Random levels over random rows: what is written reads back, and PromQL gives the verdict Python gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbwatch.levels import (
    Column,
    ColumnKind,
    Expression,
    LevelError,
    PromqlContext,
    Sample,
    canonical,
    evaluate,
    holds,
    parse_level,
    parse_value,
    to_promql,
    with_derived,
)
from dbwatch.levels.nodes import Call, ColumnRef, Compare, Function, Node, Truthy, walk

GAUGES = ("a", "b", "c", "up")
COUNTERS = ("hits", "misses")
LABELS = ("state", "mode")
TEXTS = ("lost", "un.reserved", "a|b", 'it\'s "q" \\ $1', "new\nline", "größe", "(x)*")
DERIVED = {
    "share": "a / (a + b)",
    "speed": "rate(hits) * 60",
    "mix": "share - speed / 7",
    "left": "eta(c, 50) / 60",
}
CASES = 400
ROWS = 3


def columns(prefix: str = "m_") -> dict[str, Column]:
    """The columns of one case; the prefix keeps the series of cases apart."""
    plain = {name: Column(ColumnKind.GAUGE, metric=prefix + name) for name in GAUGES}
    plain |= {name: Column(ColumnKind.COUNTER, metric=prefix + name) for name in COUNTERS}
    plain |= {name: Column(ColumnKind.LABEL) for name in LABELS}
    return with_derived(plain, DERIVED)


class Writer:
    """Writes random levels; needless brackets and odd spacing included."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def condition(self, depth: int) -> str:
        pick = self.random.random()
        if depth <= 0 or pick < 0.25:
            return self.relation()
        if pick < 0.45:
            return f"not {self._bracketed(self.condition(depth - 1))}"
        word = " and " if pick < 0.75 else " or "
        count = self.random.choice((2, 2, 3))
        return word.join(
            self._bracketed(self.condition(depth - 1)) if self.random.random() < 0.6 else self.relation()
            for _ in range(count)
        )

    def relation(self) -> str:
        pick = self.random.random()
        if pick < 0.12:
            return self.random.choice(("up", "share", "a", "mix", "left"))
        if pick < 0.2:
            return f"up {self.random.choice(('==', '!='))} {self.random.choice(('true', 'false'))}"
        if pick < 0.3:
            sides = [self.random.choice(LABELS), self._text()]
            self.random.shuffle(sides)
            return f" {self.random.choice(('==', '!='))} ".join(sides)
        if pick < 0.4:
            choices = ", ".join(self._text() for _ in range(self.random.randint(1, 3)))
            return f"{self.random.choice(LABELS)} {self.random.choice(('in', 'not in'))} ({choices})"
        operator = self.random.choice((">", ">=", "<", "<=", "==", "!="))
        sides = [self.number(self.random.randint(0, 3)), self.number(self.random.randint(0, 2))]
        if self.random.random() < 0.5:
            sides[1] = self._literal()
        self.random.shuffle(sides)
        return f"{sides[0]}{self._space()}{operator}{self._space()}{sides[1]}"

    def number(self, depth: int) -> str:
        pick = self.random.random()
        if depth <= 0 or pick < 0.2:
            return self.random.choice((*GAUGES, *GAUGES, *GAUGES, *DERIVED))
        if pick < 0.28:
            return f"{self.random.choice(('rate', 'delta'))}({self.random.choice(COUNTERS)})"
        if pick < 0.36:
            limit = self._literal() if self.random.random() < 0.7 else self.number(depth - 1)
            return f"eta({self.random.choice(GAUGES[:3])}, {limit})"
        if pick < 0.44:
            return f"-{self._bracketed(self.number(depth - 1))}"
        if pick < 0.5:
            return self._literal()
        left, right = self.number(depth - 1), self.number(depth - 1)
        if self.random.random() < 0.6:
            left = self._bracketed(left)
        if self.random.random() < 0.6:
            right = self._bracketed(right)
        return f"{left}{self._space()}{self.random.choice('++--*//')}{self._space()}{right}"

    def _literal(self) -> str:
        value = self.random.choice(("0", "1", "2.5", "7", "-3", "1_000", "1e1", "50%", "12.5%", "0.4"))
        return value if self.random.random() < 0.9 else self.random.choice(("5m", "2h", "100ms", "3KiB"))

    def _text(self) -> str:
        text = self.random.choice(TEXTS)
        quote = self.random.choice("'\"")
        return quote + text.replace(quote, quote * 2) + quote

    def _bracketed(self, text: str) -> str:
        return f"({text})" if self.random.random() < 0.8 else text

    def _space(self) -> str:
        return self.random.choice((" ", " ", "", "  ", "\n "))


def random_level(random: Random, prefix: str = "m_") -> Expression:
    """A level that parses; most texts do, the others compare constants or divide by zero."""
    known = columns(prefix)
    while True:
        try:
            return parse_level(Writer(random).condition(random.randint(0, 3)), known)
        except LevelError:
            continue


@settings(max_examples=500, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_is_written_reads_back_as_the_same_level(random: Random) -> None:
    level = random_level(random)
    assert parse_level(canonical(level), columns()) == level
    assert canonical(parse_level(canonical(level), columns())) == canonical(level)


@settings(max_examples=200, deadline=None)
@given(st.floats(min_value=0, max_value=1e290), st.sampled_from(["", "%", "GiB", "min"]))
def test_every_number_reads_back_exactly(value: float, unit: str) -> None:
    level = parse_value(f"a + {value!r}{unit}", columns())
    assert parse_value(canonical(level), columns()) == level


@settings(max_examples=600, deadline=None)
@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from([*"()+-*/<>=!,.%'\"_ ", "a", "hits", "state", "share", "rate(", "eta(", "and ", "or "])
        | st.sampled_from(["not ", " in ", "true", "1", "5m", "2e3", "== ", "'lost'", "9" * 400]),
        max_size=40,
    ).map("".join)
)
def test_arbitrary_text_is_a_level_or_a_level_error(text: str) -> None:
    for parse in (parse_level, parse_value):
        try:
            expression = parse(text, columns())
        except LevelError as error:
            assert 0 <= error.offset <= len(text)  # noqa: PT017 - most texts are not levels
            continue
        assert parse(canonical(expression), columns()) == expression
        evaluate(expression, Sample({}, None, None))
        to_promql(expression, PromqlContext(base_metric="m_base"))


@dataclass
class Row:
    """One row as Python sees it and as Prometheus stores it: ten minutes, the last five between samples."""

    labels: dict[str, str]
    values: dict[str, float | str | None] = field(default_factory=dict)
    previous: dict[str, float | None] = field(default_factory=dict)
    series: dict[str, list[str]] = field(default_factory=dict)

    @property
    def sample(self) -> Sample:
        return Sample(self.values, self.previous, 300.0)

    def store(self, name: str, history: list[int | None]) -> None:
        self.values[name], self.previous[name] = history[10], history[5]
        if any(value is not None for value in history):
            self.series[name] = ["_" if value is None else str(value) for value in history]


def random_row(random: Random, number: int) -> Row:
    row = Row({"target": "t", "slot": f"r{number}"})
    for name in LABELS:
        text = random.choice((*TEXTS, None))
        row.values[name] = text
        if text is not None:
            row.labels[name] = text
    for name in GAUGES:
        now = random.choice((0, 1)) if name == "up" else random.randint(-6, 12)
        step = random.choice((0, 0, 1, 2, -1))
        row.store(name, _history(random, [now - (10 - minute) * step for minute in range(11)]))
    for name in COUNTERS:
        step = random.choice((0, 1, 3, 20))
        steady = [1000 + minute * step for minute in range(11)]
        reset = [500] * 6 + [minute * step for minute in range(1, 6)]
        row.store(name, _history(random, random.choice((steady, reset))))
    return row


def _history(random: Random, full: list[int]) -> list[int | None]:
    pick = random.random()
    if pick < 0.12:
        return [None] * 11
    return [None] * 10 + [full[10]] if pick < 0.22 else list(full)


def is_clear_cut(expression: Expression, sample: Sample) -> bool:
    """False where rounding decides: rate(), delta() and eta() are regressions and extrapolations there."""
    for node in _deep(expression.root):
        calls = {inner.function for inner in _deep(node) if isinstance(inner, Call)}
        if not calls:
            continue
        if isinstance(node, Compare):
            left, right = (evaluate(Expression(side), sample) for side in (node.left, node.right))
        elif isinstance(node, Truthy):
            left, right = evaluate(Expression(node.operand), sample), 0.0
        else:
            continue
        if isinstance(left, float | int) and isinstance(right, float | int):
            both_zero = left == right == 0 and Function.ETA not in calls
            if not both_zero and abs(left - right) <= 0.2 * max(abs(left), abs(right)):
                return False
    return True


def _deep(node: Node) -> Iterator[Node]:
    for inner in walk(node):
        yield inner
        if isinstance(inner, ColumnRef) and inner.column.derived is not None:
            yield from _deep(inner.column.derived.root)


@dataclass
class Case:
    """One level and its rows."""

    name: str
    level: Expression
    rows: list[Row]
    context: PromqlContext

    @property
    def promql(self) -> str:
        return to_promql(self.level, self.context)

    @property
    def firing(self) -> list[dict[str, str]]:
        return [row.labels for row in self.rows if holds(self.level, row.sample)]


def random_case(random: Random, number: int) -> Case:
    name = f"case{number}"
    context = PromqlContext(base_metric=f"{name}_base", matchers=random.choice(("", 'target="t"')))
    while True:
        level = random_level(random, f"{name}_")
        rows = [random_row(random, index) for index in range(ROWS)]
        if all(is_clear_cut(level, row.sample) for row in rows):
            return Case(name, level, rows, context)


def selector(metric: str, labels: dict[str, str]) -> str:
    # JSON and PromQL strings escape alike for everything in TEXTS
    return metric + "{" + ",".join(f"{key}={json.dumps(value)}" for key, value in labels.items()) + "}"


def run_promtool(folder: Path, cases: list[Case], *, expected: dict[str, list[dict[str, str]]]) -> str | None:
    """None when Prometheus fires exactly the expected alerts, else what it says. JSON is YAML."""
    series = []
    for case in cases:
        for row in case.rows:
            series.append({"series": selector(f"{case.name}_base", row.labels), "values": "1x10"})
            for name, values in row.series.items():
                series.append({"series": selector(f"{case.name}_{name}", row.labels), "values": " ".join(values)})
    rules = [{"alert": case.name, "expr": case.promql} for case in cases]
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "10m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [
                    {
                        "eval_time": "10m",
                        "alertname": case.name,
                        "exp_alerts": [{"exp_labels": labels} for labels in expected[case.name]],
                    }
                    for case in cases
                ],
            }
        ],
    }
    (folder / "rules.yaml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    (folder / "test.yaml").write_text(json.dumps(test))
    command = [promtool(), "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return None if done.returncode == 0 else done.stdout + done.stderr


def promtool() -> str:
    found = shutil.which("promtool")
    if found is not None:
        return found
    required = os.environ.get("DBWATCH_REQUIRE", "")
    if required == "all" or "promtool" in required.split(","):
        pytest.fail("promtool is required by DBWATCH_REQUIRE and is not on the path")
    pytest.skip("promtool is not on the path: the PromQL of levels is not compared with Python")


def test_promql_and_python_give_the_same_verdict(tmp_path: Path) -> None:
    seed = int(os.environ.get("DBWATCH_SEED", "20240613"))
    print(f"seed {seed}: repeat with DBWATCH_SEED={seed}")
    random = Random(seed)
    cases = [random_case(random, number) for number in range(CASES)]
    said = run_promtool(tmp_path, cases, expected={case.name: case.firing for case in cases})
    if said is not None:
        wrong = [case for case in cases if f"alertname: {case.name}," in said]
        lines = [f"{canonical(case.level)}\n    {case.promql}" for case in wrong]
        pytest.fail(f"seed {seed}, {len(wrong)} of {len(cases)} differ\n" + "\n".join(lines) + "\n" + said[:4000])
    fired = sum(len(case.firing) for case in cases)
    null = sum(evaluate(case.level, row.sample) is None for case in cases for row in case.rows)
    total = CASES * ROWS
    assert total * 0.2 < fired < total * 0.8
    assert null > total * 0.1


def test_the_comparison_with_promtool_can_fail(tmp_path: Path) -> None:
    known = columns("only_")
    row = Row({"target": "t", "state": "lost"})
    row.store("a", [5] * 11)
    case = Case("only", parse_level("a > 3", known), [row], PromqlContext())
    assert run_promtool(tmp_path, [case], expected={"only": [row.labels]}) is None
    assert run_promtool(tmp_path, [case], expected={"only": []}) is not None
    silent = Case("only", parse_level("a > 8", known), [row], PromqlContext())
    assert run_promtool(tmp_path, [silent], expected={"only": [row.labels]}) is not None
