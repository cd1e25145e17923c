"""Every mistake in a check file is said at once, with file, line and remedy; a right file becomes a typed check."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dbwatch.catalogue import Catalogue, Check, load_catalogue
from dbwatch.catalogue.schema import Profile, Scope
from dbwatch.errors import ConfigError, Problem
from dbwatch.levels import LevelError
from dbwatch.model import Engine, Role, Status

GOOD = """\
summary: Indexes that no query has used
group: indexes
why: |
  They cost writes and disk.
cost: lazy
timeout: 10s
scope: database
requires: {role: primary, version: ">=14", privilege: pg_monitor}
sql:
  "14": |
    select 'a;b' as schema -- a comment; with a semicolon
  "16": select 2
columns:
  schema: {use: label}
  index: {use: label}
  index_bytes: {use: gauge, metric: dbwatch_pg_unused_index_bytes, help: Size of the index}
  idx_scan: {use: counter, metric: dbwatch_pg_unused_index_scans_total, help: Scans}
  stats_age: {use: detail}
  definition: {use: detail, type: text}
derive:
  per_scan: {value: index_bytes / delta(idx_scan)}
resets: stats_age
levels:
  warning: index_bytes > 100MiB and stats_age > 14d
for: 1h
key: [schema, index]
message: "{schema}.{index} ({index_bytes:bytes})"
many: "{count} indexes, {total_index_bytes:bytes}"
fix: DROP INDEX CONCURRENTLY {schema:ident}.{index:ident};
runbook: {meaning: a, impact: b, diagnosis: c, mitigation: d}
panel: {dashboard: maintenance, kind: table, unit: bytes, column: index_bytes}
"""
REDIS = """\
summary: Keys are evicted
group: memory
why: data is lost
command: INFO
fields: {evicted: evicted_keys}
columns:
  evicted: {use: counter, metric: dbwatch_redis_evicted_keys_total, help: Evicted keys}
levels: {critical: rate(evicted) > 100, warning: rate(evicted) > 0}
message: "keys are evicted"
runbook: {meaning: a, impact: b, diagnosis: c, mitigation: d}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "unused_index.yaml", engine: str = "postgres") -> Path:
        path = tmp_path / engine / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def refused(directory: Path) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load_catalogue([directory])
    return list(caught.value.problems)


def test_a_right_file_becomes_a_check(tmp_path: Path, write: Callable[..., Path]) -> None:
    path = write(GOOD)
    write(REDIS, "evictions.yaml", "redis")
    catalogue = load_catalogue([tmp_path])
    assert catalogue.names == ("unused_index", "evictions")
    (check,) = catalogue.of(Engine.POSTGRES)
    assert (check.name, check.engine, check.group, check.file) == (
        "unused_index",
        Engine.POSTGRES,
        "indexes",
        str(path),
    )
    assert (check.every, check.timeout, check.for_seconds) == (3600, 10, 3600)
    assert (check.scope, check.profile, check.requires.role) == (Scope.DATABASE, Profile.STANDARD, Role.PRIMARY)
    assert check.requires.version == (">=", (14,))
    assert check.labels == check.key == ("schema", "index")
    assert list(check.exported) == ["index_bytes", "idx_scan"]
    assert list(check.derived) == ["per_scan"]
    assert check.sampled
    assert list(check.levels) == [Status.WARNING]
    (evictions,) = catalogue.named("evictions")
    assert list(evictions.levels) == [Status.CRITICAL, Status.WARNING]
    assert evictions.fields["evicted"].field == "evicted_keys"


def test_sql_goes_by_the_version_of_the_server(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(GOOD)
    (check,) = load_catalogue([tmp_path])
    assert check.sql_for((13, 22)) is None
    assert "comment" in str(check.sql_for((14, 1)))
    assert "comment" in str(check.sql_for((15, 9)))
    assert check.sql_for((16, 0)) == "select 2"
    assert check.sql_for((18, 1)) == "select 2"


def test_other_thresholds_make_another_check(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(GOOD)
    (check,) = load_catalogue([tmp_path])
    stricter = check.with_levels({Status.CRITICAL: "index_bytes > 1TiB"})
    assert list(stricter.level_texts) == [Status.CRITICAL, Status.WARNING]
    assert check.level_texts == {Status.WARNING: "index_bytes > 100MiB and stats_age > 14d"}
    with pytest.raises(LevelError, match="no column 'bytes'"):
        check.with_levels({Status.WARNING: "bytes > 1"})


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "line", "path", "part"),
    [
        (changed("group: indexes\n", ""), 1, "group", "is missing"),
        (changed("group: indexes", "gruop: indexes"), 2, "gruop", "did you mean group?"),
        (changed("help: Size", "hepl: Size"), 16, "columns.index_bytes.hepl", "did you mean help?"),
        (changed("group: indexes", "group: In Dexes"), 2, "group", "pattern"),
        (changed("cost: lazy", "cost: cheapo"), 5, "cost", "'cheap'"),
        (changed("timeout: 10s", "timeout: soon"), 6, "timeout", "not a duration"),
        (changed("timeout: 10s", "timeout: 2h"), 6, "timeout", "not shorter than the interval"),
        (changed('version: ">=14"', "version: '14+'"), 8, "requires", "'14+' is not like"),
        (changed('version: ">=14"', "version: '>=13'"), 9, "sql", 'requires.version ">=14"'),
        (changed('"16": select 2', '"16x": select 2'), 12, "sql.16x", "not a server version"),
        (changed('"16": select 2', '"16": select 1; select 2'), 12, "sql.16", "semicolon"),
        (changed('"16": select 2', '"16": delete from x'), 12, "sql.16", "does not start with"),
        (changed('"16": select 2', '"16": select pg_terminate_backend(1)'), 12, "sql.16", "acts on the server"),
        (changed("sql:\n", "only_if: select 1; select 2\nsql:\n"), 9, "only_if", "semicolon"),
        (changed('"16": select 2', '"16": select 1 where 1 not in (select 2)'), 12, "sql.16", "NOT IN"),
        (changed("schema: {use: label}", "target: {use: label}"), 14, "columns.target", "reserved label"),
        (
            changed("dbwatch_pg_unused_index_bytes", "dbwatch_redis_bytes"),
            16,
            "columns.index_bytes.metric",
            "dbwatch_pg_",
        ),
        (changed("_scans_total, help", "_scans, help"), 17, "columns.idx_scan", "ends in _total"),
        (changed("stats_age: {use: detail}", "stats_age: {use: gauge}"), 18, "columns.stats_age", "needs `metric`"),
        (changed("resets: stats_age", "resets: schema"), 22, "resets", "not a numeric column"),
        (
            changed("index_bytes / delta", "index_byte / delta"),
            21,
            "derive.per_scan.value",
            "did you mean index_bytes?",
        ),
        (changed("per_scan: {value", "schema: {value"), 21, "derive.schema", "is a column already"),
        (changed("index_bytes > 100MiB", "index_byte > 100MiB"), 24, "levels.warning", "did you mean index_bytes?"),
        (changed("index_bytes > 100MiB", "index_bytes >"), 24, "levels.warning", ""),
        (changed("  warning: index_bytes > 100MiB and stats_age > 14d\n", "  {}\n"), 23, "levels", "give `critical`"),
        (changed("key: [schema, index]", "key: [schema, stats_age, index]"), 26, "key[1]", "not a label column"),
        (changed("key: [schema, index]", "key: [index]"), 26, "key", "does not name schema"),
        (changed('"{schema}.{index} (', '"{schma}.{index} ('), 27, "message", "{schma} is not a column"),
        (changed("{index_bytes:bytes})", "{index_bytes:byts})"), 27, "message", "the formats are"),
        (changed("{total_index_bytes:bytes}", "{index_bytes:bytes}"), 28, "many", "total_index_bytes"),
        (changed("{index:ident};", "{index:ident;"), 29, "fix", "lone"),
        (changed("impact: b, ", ""), 30, "runbook.impact", "is missing"),
        (changed("column: index_bytes}", "column: index_byte}"), 31, "panel.column", "not a column"),
        (changed("kind: table", "kind: pie"), 31, "panel.kind", "'timeseries'"),
        (changed("group: indexes", "group: on"), 2, "group", "boolean"),
        (changed("group: indexes", "group: indexes\ngroup: x"), 3, "group", "given twice"),
        ("- a\n- b\n", 1, "", "not a mapping"),
        ("", 1, "", "not a mapping"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, write: Callable[..., Path], text: str, line: int, path: str, part: str
) -> None:
    file = write(text)
    problems = refused(tmp_path)
    assert [str(problem) for problem in problems if problem.path == path and part in str(problem)], problems
    (problem,) = [problem for problem in problems if problem.path == path and part in str(problem)]
    assert str(problem).startswith(f"{file}:{problem.line}: ")
    assert problem.line == line


@pytest.mark.parametrize(
    ("text", "path", "part"),
    [
        (REDIS.replace("command: INFO", "command: INFO\nsql: select 1"), "", "exactly one of"),
        (REDIS.replace("fields: {evicted: evicted_keys}\n", ""), "", "go together"),
        (REDIS.replace("{evicted: evicted_keys}", "{evict: evicted_keys}"), "fields", "evict must stand in both"),
        (
            REDIS.replace("command: INFO\n", "sql: select 1\n").replace("fields: {evicted: evicted_keys}\n", ""),
            "sql",
            "no SQL",
        ),
        (REDIS.replace("group: memory", "group: memory\nscope: database"), "scope", "no database scope"),
        (REDIS.replace("command: INFO", "command: info all"), "command", "pattern"),
        (REDIS.replace("command: INFO", "command: MONITOR"), "command", "does not send MONITOR to Redis"),
        (REDIS.replace("command: INFO", "command: CONFIG GET"), "command", "does not send CONFIG GET"),
    ],
)
def test_what_does_not_fit_redis_is_refused(
    tmp_path: Path, write: Callable[..., Path], text: str, path: str, part: str
) -> None:
    file = write(text, "evictions.yaml", "redis")
    problems = refused(tmp_path)
    assert [p for p in problems if p.path == path and part in p.message], problems
    assert all(str(problem).startswith(f"{file}:{problem.line}: ") for problem in problems)


def test_all_problems_of_all_files_are_said_at_once(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(GOOD.replace("group: indexes", "gruop: indexes").replace("cost: lazy", "cost: free"))
    write(
        GOOD.replace("100MiB", "100Mib").replace("[schema, index]", "[schema]").replace("{schema}", "{s}"), "other.yaml"
    )
    write(REDIS.replace("message:", "massage:"), "evictions.yaml", "redis")
    found = {(Path(p.file).name, p.path) for p in refused(tmp_path)}
    assert found >= {
        ("unused_index.yaml", "gruop"),
        ("unused_index.yaml", "group"),
        ("unused_index.yaml", "cost"),
        ("other.yaml", "levels.warning"),
        ("other.yaml", "key"),
        ("other.yaml", "message"),
        ("evictions.yaml", "massage"),
        ("evictions.yaml", "message"),
    }


def test_two_checks_cannot_have_one_metric_or_one_name(tmp_path: Path, write: Callable[..., Path]) -> None:
    first = write(GOOD, "a_check.yaml")
    second = write(GOOD, "b_check.yaml")
    problems = refused(tmp_path)
    assert str(problems[0]) == (
        f"{second}:16: columns.index_bytes.metric: dbwatch_pg_unused_index_bytes is exported by {first} already "
        "(one metric, one check)"
    )
    assert len(problems) == 2
    second.unlink()
    with pytest.raises(ConfigError, match=rf"{re.escape(str(first))}:1: is a second check of that name, beside "):
        load_catalogue([tmp_path, tmp_path])


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Unused.yaml", "'Unused' is not a check name"),
        ("un-used.yaml", "is not a check name"),
        ("9lives.yaml", "is not a check name"),
        ("ünused.yaml", "is not a check name"),
        (f"{'x' * 64}.yaml", "is not a check name"),
        ("unused_index.yml", "rename it to .yaml"),
    ],
)
def test_a_file_name_is_a_check_name(tmp_path: Path, write: Callable[..., Path], name: str, part: str) -> None:
    file = write(GOOD, name)
    (problem,) = refused(tmp_path)
    assert problem.file == str(file)
    assert part in str(problem)


def test_what_lies_in_the_wrong_place_is_named(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(GOOD, engine="oracle")
    (tmp_path / "stray.yaml").write_text(GOOD)
    texts = [str(problem) for problem in refused(tmp_path)]
    assert texts == [
        f"{tmp_path}/oracle: is not an engine (one of {', '.join(Engine)})",
        f"{tmp_path}/stray.yaml: lies outside an engine's folder (move it to postgres/ or redis/)",
    ]
    (missing,) = refused(tmp_path / "missing")
    assert str(missing) == f"{tmp_path}/missing: is not a directory (name a directory of check files)"


def test_a_mounted_directory_with_hidden_entries_is_read(tmp_path: Path, write: Callable[..., Path]) -> None:
    """Kubernetes keeps `..data` and `..2026_01_01` beside the files of a ConfigMap; editors leave lock files."""
    path = write(GOOD)
    (tmp_path / "..data").mkdir()
    (path.parent / ".#unused_index.yaml").symlink_to("nowhere")
    (path.parent / "README.md").write_text("not a check")
    assert load_catalogue([tmp_path]).names == ("unused_index",)


def test_an_unreadable_file_is_one_problem(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(GOOD)
    (tmp_path / "postgres" / "broken.yaml").symlink_to(tmp_path / "nowhere")
    (problem,) = refused(tmp_path)
    assert "cannot be read: No such file or directory" in problem.message


def test_globs_find_checks_and_suggest_names(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(GOOD)
    write(REDIS, "evictions.yaml", "redis")
    catalogue: Catalogue = load_catalogue([tmp_path])
    assert catalogue.matching(["unused_*", "evictions"], source="--check") == {"unused_index", "evictions"}
    with pytest.raises(ConfigError, match=r"--check: no check is named 'unused_indx' \(did you mean unused_index\?\)"):
        catalogue.matching(["unused_indx"], source="--check")
    with pytest.raises(ConfigError, match="`dbwatch list` shows them all"):
        catalogue.matching(["zzz*"], source="--check")
    checks: list[Check] = list(catalogue)
    assert len(checks) == 2
