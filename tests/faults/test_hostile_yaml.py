"""Row 51: files written to hurt, or on a bad day: a problem with its line, or the very text that stands there."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dbwatch.catalogue.loader import load_check
from dbwatch.config import load_config
from dbwatch.errors import ConfigError, Problem
from dbwatch.model import Engine
from tests.checks.cases import CHECKS

TARGET = "targets:\n  - name: shop\n    engine: postgres\n    url: postgresql://u@127.0.0.1:1/d\n"
LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)
)
TRAP = "/tmp/dbwatch-yaml-trap"

HOSTILE: dict[str, tuple[str | bytes, int | None]] = {
    "a billion laughs": (LAUGHS, 1),
    "an alias of itself": (TARGET + "x: &a [*a]\n", 5),
    "deep nesting": (TARGET + "x: " + "[" * 100_000 + "\n", 5),
    "deep mappings": (TARGET + "x: " + "{a: " * 100_000 + "\n", 5),
    "a python object": (TARGET + f"x: !!python/object/apply:os.system ['touch {TRAP}']\n", 5),
    "a python name": (TARGET + "x: !!python/name:os.system\n", 5),
    "a python module": (TARGET + "x: !!python/module:os\n", 5),
    "an own tag": (TARGET + "x: !evil y\n", 5),
    "a key twice": (TARGET + "targets: []\n", 5),
    "a merge": (TARGET + "defaults: {<<: {profile: minimal}}\n", 5),
    "yes and no": (TARGET.replace("shop", "no"), 2),
    "sexagesimal": (TARGET + "defaults: {connect_timeout: 1:30}\n", 5),
    "octal": (TARGET + "defaults: {connect_timeout: 010}\n", 5),
    "not a number": (TARGET + "defaults: {connect_timeout: .nan}\n", 5),
    "a date": (TARGET + "defaults: {profile: 2027-01-01}\n", 5),
    "NUL": (TARGET.encode() + b"x: a\0b\n", 5),
    "a bell": (TARGET.encode() + b"x: \a\n", 5),
    "no UTF-8": (TARGET.encode() + b"x: \xff\xfe\n", 5),
    "UTF-16": (TARGET.encode("utf-16"), None),
    "ten megabytes": (TARGET + "# " + "x" * 10_000_000, None),
    "a million keys": (TARGET + "x:\n" + "".join(f"  k{n}: 1\n" for n in range(60_000)), None),
    "two documents": (TARGET + "---\n" + TARGET, None),
    "an anchor for nobody": (TARGET + "x: &a 1\n", 5),
    "a long key": (TARGET + "x" * 100_000 + ": 1\n", None),
    "digits": (TARGET + "defaults: {connect_timeout: " + "9" * 5000 + "}\n", 5),
}


def memory() -> int:
    """The most this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("kind", HOSTILE)
def test_row_51_a_hostile_file_is_refused_with_its_line(tmp_path: Path, kind: str) -> None:
    content, line = HOSTILE[kind]
    path = tmp_path / "dbwatch.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before, began = memory(), time.monotonic()
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert time.monotonic() - began < 20, "a second on a machine that does nothing else"
    assert memory() - before < 200 * 1024 * 1024
    problems = caught.value.problems
    assert problems
    assert all(problem.file == str(path) for problem in problems)
    if line is not None:
        assert line in {problem.line for problem in problems}, problems
    assert all(len(str(problem)) < 2000 for problem in problems), "the message is not the bomb"
    assert not Path(TRAP).exists()


@pytest.mark.parametrize(
    "text", ["on", "no", "1:30", "010", "1e3", "~", "null", ".inf", "2027-01-01", "0x10", "{}", "é🐘"]
)
def test_row_51_a_quoted_text_stays_that_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dbwatch.yaml"
    path.write_text(TARGET + f"    labels: {{colour: '{text}'}}\n")
    assert load_config(path).targets[0].labels == {"colour": text}


def test_row_51_what_is_odd_and_harmless_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dbwatch.yaml"
    for content in (
        b"\xef\xbb\xbf" + TARGET.encode(),
        TARGET.replace("\n", "\r\n").encode(),
        b"%YAML 1.2\n---\n" + TARGET.encode(),
    ):
        path.write_bytes(content)
        assert load_config(path).targets[0].name == "shop"


CHECK = (CHECKS / "postgres" / "idle_in_transaction.yaml").read_text()
ESCAPES = {
    "python": "probe: os.system",
    "python path": "probe: dbwatch.engines.postgres.probes.wal:look",
    "a tag": "sql: !!python/object/apply:os.system ['id']",
    "an include": "sql: !file /etc/passwd",
    "two statements": "sql: select 1; drop table t",
    "a write": "sql: delete from t returning 1",
    "a function that acts": "sql: select pg_terminate_backend(1) as pid",
    "a setting": "sql: select set_config('search_path', 'x', false) as x",
    "a file": "sql: select pg_read_file('/etc/passwd') as text",
    "a redis command": "command: FLUSHALL",
}


@pytest.mark.parametrize("kind", ESCAPES)
def test_row_51_a_check_file_neither_runs_python_nor_acts(tmp_path: Path, kind: str) -> None:
    """What the lint lets through is held by the guarded transaction: row 20."""
    own = tmp_path / "postgres" / "escape.yaml"
    own.parent.mkdir()
    lines = [f"summary: Escapes\ngroup: tests\nwhy: It wants out.\n{ESCAPES[kind]}"]
    lines += ["columns: {pid: {use: gauge, metric: dbwatch_pg_escape, help: A number.}}", "message: out"]
    lines += ["runbook: {meaning: m, impact: i, diagnosis: d, mitigation: m}"]
    own.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError) as caught:
        load_check(own, Engine.POSTGRES)
    assert {problem.file for problem in caught.value.problems} == {str(own)}


# -- whatever comes --------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *(
            "targets",
            "defaults",
            "name",
            "engine",
            "url",
            "postgres",
            "redis",
            "checks",
            "enable",
            "disable",
            "thresholds",
        ),
        *(
            "unused_index",
            "warning",
            "critical",
            "index_bytes > 1",
            "intervals",
            "1h",
            "labels",
            "ignore",
            "check",
            "key",
        ),
        *("until", "2027-01-01", "databases", "include", "exclude", "password_file", "password_env", "${X}", "profile"),
        *("minimal", "host", "port", "dumps", "path", "every", "expect", "replicas", "checks_dir", "tls", "shop"),
        *("summary", "sql", "select 1", "columns", "use", "label", "gauge", "metric", "levels", "message", "{x:bytes}"),
    ]
)
SCALARS = st.one_of(WORDS, st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=20))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=5)),
    max_leaves=25,
)
FINE = Problem("", None, "", "fine")
FUZZ = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def problems_of(read: Callable[[], object]) -> Sequence[Problem]:
    """What a loader finds wrong. Any other exception is the failure this looks for."""
    try:
        read()
    except ConfigError as error:
        return error.problems
    return [FINE]


def config_problems(content: bytes) -> Sequence[Problem]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dbwatch.yaml"
        path.write_bytes(content)
        return problems_of(lambda: load_config(path))


@FUZZ
@given(document=st.dictionaries(WORDS, VALUES, max_size=4))
@example(document={"targets": [{"name": "a", "engine": "postgres", "url": "postgresql://[::1"}]})
@example(document={"targets": [{"name": "a", "engine": "redis", "host": "h", "intervals": {"x": float("inf")}}]})
def test_row_51_no_configuration_is_a_traceback(document: dict[str, object]) -> None:
    text = yaml.safe_dump(document, allow_unicode=True, default_flow_style=None)
    assert config_problems(text.encode("utf-8", "surrogatepass"))


@settings(FUZZ, max_examples=150)
@given(at=st.integers(0, len(CHECK)), gone=st.integers(0, 30), put=st.text(max_size=12) | WORDS)
def test_row_51_no_change_of_a_check_file_is_a_traceback(at: int, gone: int, put: str) -> None:
    changed = CHECK[:at] + put + CHECK[at + gone :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "postgres" / "changed.yaml"
        path.parent.mkdir()
        path.write_bytes(changed.encode("utf-8", "surrogatepass"))
        found = problems_of(lambda: load_check(path, Engine.POSTGRES))
        assert found
        assert all(problem is FINE or problem.file == str(path) for problem in found)


@FUZZ
@given(raw=st.binary(max_size=200))
def test_row_51_no_bytes_are_a_traceback(raw: bytes) -> None:
    assert config_problems(raw)
    assert config_problems(TARGET.encode() + raw)


def test_found_a_configuration_that_is_no_file() -> None:
    """The configuration names an endless device, or nothing. It is one problem, and memory stays."""
    for name in ("/dev/zero", "/dev/null"):
        (problem,) = problems_of(lambda name=name: load_config(Path(name)))  # type: ignore[misc]
        assert problem.file == name
