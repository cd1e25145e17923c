"""A collector file becomes a check without a verdict; every mistake in one is said at once, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue import load_catalogue
from dbwatch.catalogue.collected import Collectors
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.catalogue.families import Exporter, Family, Kind
from dbwatch.errors import ConfigError
from dbwatch.model import Engine

GOOD = """\
summary: Slots
cost: cheap
timeout: 5s
server: true
limit: 1000
sql: select 1
columns:
  slot_name: {use: label}
  status: {use: label}
  name: {use: label}
  active: {use: gauge, name: pg_slot_active, help: Read from., labels: [slot_name]}
  commits: {use: counter, name: pg_slot_commits, help: Commits.}
  value: {use: untyped, name: "pg_settings_{name}", help: "The setting {name}."}
"""


def collectors_of(folder: Path, **files: str) -> Collectors:
    place = folder / "compat" / "postgres_exporter"
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / f"{name}.yaml").write_text(text)
    return load_collectors([folder])


def problems_of(folder: Path, **files: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        collectors_of(folder, **files)
    return [str(problem).partition("postgres_exporter/")[2] for problem in caught.value.problems]


def test_a_collector_is_a_check_that_exports_nothing_itself(tmp_path: Path) -> None:
    (check,) = collectors_of(tmp_path, slots=GOOD)
    assert (check.name, check.engine, check.every, check.limit) == (
        "postgres_exporter/slots",
        Engine.POSTGRES,
        15.0,
        1000,
    )
    assert not check.levels
    assert not check.exported
    assert check.alert.off
    assert not check.sampled
    assert check.collector is not None
    assert (check.collector.exporter, check.collector.name, check.collector.server) == (
        Exporter.POSTGRES,
        "slots",
        True,
    )
    assert check.collector.families == {
        "active": Family("pg_slot_active", Kind.GAUGE, "Read from.", ("slot_name",)),
        "commits": Family("pg_slot_commits", Kind.COUNTER, "Commits.", ("slot_name", "status", "name")),
        "value": Family("pg_settings_{name}", Kind.UNTYPED, "The setting {name}.", ("slot_name", "status")),
    }


def test_a_name_made_of_a_label_takes_what_can_be_a_name_only() -> None:
    family = Family("pg_settings_{name}", Kind.GAUGE, "The setting {name}.", ())
    assert family.named({"name": "work_mem_bytes"}) == ("pg_settings_work_mem_bytes", "The setting work_mem_bytes.")
    for bad in ("", "a b", 'x"} 1\npg_up 0', "ä"):
        assert family.named({"name": bad}) is None
    assert family.supplies("pg_settings_port")
    assert not family.supplies("pg_settings_")
    assert not family.supplies("pg_up")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("use: counter, name: pg_slot_commits", "use: counter, name: x_commits", "does not start with pg_"),
        (
            "use: counter, name: pg_slot_commits",
            "use: counter, name: pg_slot_active",
            "is the family of active already",
        ),
        ("labels: [slot_name]", "labels: [slot]", "slot is no label (labels: slot_name, status, name)"),
        ('"pg_settings_{name}"', '"pg_settings_{nix}"', "nix is no label"),
        ('"pg_settings_{name}"', '"pg_settings_{name"', "has a brace without its label"),
        ("use: label}\n  status", "use: detail}\n  status", "use: "),
        ("help: Commits.", "labels: []", "needs `name` and `help`"),
        ("  status:", "  server:", "is a reserved label"),
        ("  status:", "  target:", "is a reserved label"),
        ("timeout: 5s", "timeout: 15s", "is not shorter than the interval"),
        ("sql: select 1", "sql: select pg_reload_conf()", "acts on the server"),
        ("sql: select 1", "command: INFO", "`command` and `fields` go together"),
        ("summary: Slots", "summary: Slots\nlevels: {warning: active < 1}", "levels: is not a known key"),
        ("limit: 1000", "limit: 100000", "limit"),
    ],
)
def test_each_mistake_is_said(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert GOOD.count(old) == 1
    found = problems_of(tmp_path, slots=GOOD.replace(old, new))
    assert any(problem in text for text in found), found
    assert all(text.startswith("slots.yaml") for text in found)


def test_one_family_has_one_collector(tmp_path: Path) -> None:
    found = problems_of(tmp_path, slots=GOOD, twin=GOOD)
    assert any("pg_slot_active is exported by" in text for text in found), found


def test_a_folder_that_is_no_exporter_is_said(tmp_path: Path) -> None:
    (tmp_path / "compat" / "node_exporter").mkdir(parents=True)
    with pytest.raises(ConfigError, match="is not an exporter"):
        load_collectors([tmp_path])


def test_checks_and_collectors_do_not_know_each_other() -> None:
    """The catalogue of checks passes the collectors by: no report, rule, page or one-shot run sees one."""
    directory = bundled("checks")
    checks, collectors = load_catalogue([directory]), load_collectors([directory])
    assert not any(check.collector for check in checks)
    assert all(check.collector for check in collectors)
    assert not {check.name for check in checks} & {check.name for check in collectors}


def test_sql_of_collectors_is_ascii() -> None:
    texts = {check.name: check.sql.values() for check in load_collectors([bundled("checks")])}
    assert [name for name, sqls in texts.items() if not all(sql.isascii() for sql in sqls)] == []
