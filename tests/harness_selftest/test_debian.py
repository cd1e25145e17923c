"""Programs of newer Debian suites: without a mirror nothing is left half done, and what lacks is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.harness import debian
from tests.harness.binaries import fetched_home

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt on this machine")


@needs_apt
def test_an_unreachable_mirror_is_said_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBWATCH_CACHE", str(tmp_path))
    monkeypatch.setattr(debian, "_mirror", lambda: "file:/nonexistent/debian/")
    problems = debian.install_missing()
    assert [problem.split()[0] for problem in problems] == [wanted.name for wanted in debian.WANTED]
    for wanted, problem in zip(debian.WANTED, problems, strict=True):
        assert all(f"{suite}: apt-get ended with 100" in problem for suite in wanted.suites)
    assert list(tmp_path.rglob("*")) == []


def test_another_version_than_wanted_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBWATCH_CACHE", str(tmp_path))
    monkeypatch.setattr(debian.Suite, "_version", lambda _suite, _package: "9.1.2-1")
    wanted = next(wanted for wanted in debian.WANTED if wanted.name == "valkey-8.1")
    with pytest.raises(ValueError, match=r"valkey-server is 9\.1\.2-1, not 8\.1\.\*"):
        debian.Suite("trixie", tmp_path).install(wanted)
    assert not fetched_home("valkey-8.1").exists()


def test_what_is_there_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "fetched_program", Path)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("a program was run"))
    assert debian.install_missing() == []
