"""Nothing that the majors share out is lost: every case runs somewhere, and every check has a voice everywhere."""

from __future__ import annotations

import pytest

from dbwatch.model import Engine, Status
from tests.checks.cases import CaseFile, PostgresCase, all_check_names, case_file
from tests.checks.majors import cases_for
from tests.harness.binaries import SUPPORTED_MAJORS

FILES = [case_file(engine, name) for engine, name in all_check_names() if engine is Engine.POSTGRES]


def chosen(file: CaseFile) -> dict[int, list[PostgresCase]]:
    cases = [case for case in file.cases if isinstance(case, PostgresCase)]
    return {major: cases_for(major, SUPPORTED_MAJORS, cases) for major in SUPPORTED_MAJORS}


def test_every_case_runs_at_both_ends_and_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBWATCH_CASES", raising=False)
    for file in FILES:
        by_major = chosen(file)
        for case in file.cases:
            assert isinstance(case, PostgresCase)
            able = {major for major in SUPPORTED_MAJORS if case.runs_on(major)}
            runs = {major for major in SUPPORTED_MAJORS if case in by_major[major]}
            assert runs <= able
            if case.versions is not None:
                assert runs == able, (file.check, case.name)
            else:
                assert runs >= {SUPPORTED_MAJORS[0], SUPPORTED_MAJORS[-1]}, (file.check, case.name)
                assert len(runs) >= 3, (file.check, case.name)


def test_every_check_fires_and_is_silent_on_every_major_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBWATCH_CASES", raising=False)
    for file in FILES:
        for major, cases in chosen(file).items():
            able = [case for case in file.cases if isinstance(case, PostgresCase) and case.runs_on(major)]
            for silent in (True, False):
                if any((case.expect.status is Status.OK) is silent for case in able):
                    assert any((case.expect.status is Status.OK) is silent for case in cases), (file.check, major)


def test_all_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBWATCH_CASES", "all")
    for file in FILES:
        for major, cases in chosen(file).items():
            assert cases == [case for case in file.cases if isinstance(case, PostgresCase) and case.runs_on(major)]
