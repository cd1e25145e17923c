"""Reading the configuration in another process: the same answer as here, and a plain word when there is none."""

from __future__ import annotations

import pickle
import subprocess
from pathlib import Path

import pytest

from dbwatch.catalogue.families import Exporter
from dbwatch.config import Config, aside, load_config
from dbwatch.config.aside import Source, pickled, settle
from dbwatch.errors import ConfigError
from dbwatch.model import Engine
from dbwatch.secret import Secret

TEXT = """
targets:
  - name: orders
    engine: postgres
    url: "postgresql://dbwatch:gEheim-77@db/orders"
    thresholds: {deadlock: {warning: "rate(deadlocks) > 1"}}
  - {name: dumps, engine: backup, dumps: {path: dumps, every: 1d}, backup_of: orders}
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "dbwatch.yaml").write_text(TEXT)
    return Source(tmp_path / "dbwatch.yaml")


def test_another_process_reads_the_same(source: Source) -> None:
    assert source.path is not None
    there, here = settle(source.read_aside()), load_config(source.path)
    assert there.targets == here.targets
    assert there.source == here.source
    wanted = {Engine.POSTGRES, Engine.BACKUP}
    assert there.catalogue.checks == {key: check for key, check in here.catalogue.checks.items() if key[0] in wanted}
    assert there.collectors is not None
    assert there.collectors.families(Exporter.POSTGRES)
    password = there.targets[0].password
    assert password is not None
    assert password.read().reveal() == "gEheim-77"


def test_every_problem_comes_back(source: Source) -> None:
    assert source.path is not None
    source.path.write_text(TEXT.replace("orders}", "nobody}").replace("rate(deadlocks) > 1", "rate("))
    with pytest.raises(ConfigError) as here:
        load_config(source.path)
    with pytest.raises(ConfigError) as there:
        settle(source.read_aside())
    assert there.value.problems == here.value.problems
    assert len(there.value.problems) == 2


def test_a_reader_that_ends_before_its_time_is_a_problem(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "_ENTRY", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(ConfigError, match=r"dbwatch\.yaml: was not read: the process that reads it ended with -9"):
        settle(source.read_aside())


def test_a_reader_that_does_not_end_is_ended(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(aside, "_ENTRY", "import signal; signal.pause()")
    with pytest.raises(ConfigError, match=r"dbwatch\.yaml: was not read: it took longer than 0\.2 s"):
        settle(source.read_aside())


def test_where_memory_runs_out_the_reader_goes_before_the_daemon(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        aside,
        "_ENTRY",
        "import sys; sys.path[:] = sys.argv[1:]; from dbwatch.config import aside; from pathlib import Path;"
        "aside.Source.read = lambda _: Path('/proc/self/oom_score_adj').read_text().strip(); aside.main()",
    )
    assert source.read_aside() == "1000"


def test_another_version_is_not_understood(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what a reload meets after an upgrade: what it unpickled would be of other classes."""
    monkeypatch.setattr(aside, "__version__", "0.0.1")
    with pytest.raises(ConfigError, match=r"was installed over the 0\.0\.1 that runs \(restart it\)"):
        settle(source.read_aside())


def test_where_there_can_be_no_other_process_it_is_read_here(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "run", refused)
    assert [target.name for target in settle(source.read_aside()).targets] == ["orders", "dumps"]


def test_a_failure_is_told_without_secrets(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Path) -> Config:
        raise ZeroDivisionError(f"with {Secret('gEheim-77').reveal()}")

    monkeypatch.setattr(aside, "load_config", fails)
    with pytest.raises(RuntimeError, match="ZeroDivisionError: with ") as told:
        settle(source.read())
    assert "gEheim" not in str(told.value)


def test_a_secret_is_pickled_for_ourselves_alone() -> None:
    secret = Secret("gEheim-77")
    assert pickle.loads(pickled(secret)) == secret
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
