"""Owns which cases run on which major: the ends see every case, those in between share them out.

A case that names versions runs on all it names. Every other runs on the oldest and the newest major and on one in
between; of each check, one case that fires and one that is silent run on every major. DBWATCH_CASES=all runs all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from dbwatch.model import Status
from tests.checks.cases import PostgresCase


def cases_for(major: int, majors: Sequence[int], cases: Sequence[PostgresCase]) -> list[PostgresCase]:
    """The cases of one check that run on `major`, one of `majors`, in their order."""
    able = [case for case in cases if case.runs_on(major)]
    between = sorted(majors)[1:-1]
    if major not in between or os.environ.get("DBWATCH_CASES") == "all":
        return able
    chosen = [case for case in able if case.versions is not None]
    for silent in (True, False):
        kind = [case for case in able if case.versions is None and (case.expect.status is Status.OK) is silent]
        has_one = any((case.expect.status is Status.OK) is silent for case in chosen)
        chosen += kind[between.index(major) :: len(between)] or ([] if has_one else kind[:1])
    return [case for case in able if case in chosen]
