"""A console that answers what a real one was recorded to answer, or what a test has made of that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from dbwatch.bundled import bundled
from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config.loader import target_from_url
from dbwatch.engines.memory import Memory
from dbwatch.engines.pgbouncer.console import Shown, shown
from dbwatch.engines.pgbouncer.facts import facts_of
from dbwatch.engines.pgbouncer.fields import rows_of
from dbwatch.engines.pgbouncer.probe import ProbeContext
from dbwatch.engines.pgbouncer.probes import PROBES
from dbwatch.engines.pgbouncer.process import Process
from dbwatch.errors import Skipped
from dbwatch.model import Engine, RawRow, Reason
from dbwatch.runner.contract import fit

TARGET = target_from_url("pgbouncer://dbwatch@pooler:6432/pgbouncer")
RECORDED: Mapping[str, Mapping[str, Any]] = json.loads((Path(__file__).parent / "recorded.json").read_text("utf-8"))
VERSIONS = tuple(RECORDED)
"""One pool of the database postgres, used by postgres and idle; of PgBouncers as they came with Debian."""


class Console:
    """`change` puts another value into a column of every row of an answer, or takes a column away (None)."""

    def __init__(self, version: str) -> None:
        self.answers: dict[str, tuple[list[str], list[list[object]]]] = {
            command: (list(answer["columns"]), [list(row) for row in answer["rows"]])
            for command, answer in RECORDED[version].items()
        }
        self.asked: list[str] = []

    def change(self, command: str, column: str, value: object, *, where: tuple[str, str] | None = None) -> Console:
        columns, rows = self.answers[command]
        for row in rows:
            if where is None or row[columns.index(where[0])] == where[1]:
                row[columns.index(column)] = value
        return self

    def drop(self, command: str, column: str) -> Console:
        columns, rows = self.answers[command]
        place = columns.index(column)
        self.answers[command] = (columns[:place] + columns[place + 1 :], [r[:place] + r[place + 1 :] for r in rows])
        return self

    def add(self, command: str, column: str, value: object) -> Console:
        """A column of a release that nobody knows, before all others."""
        columns, rows = self.answers[command]
        self.answers[command] = ([column, *columns], [[value, *row] for row in rows])
        return self

    def show(self, command: str) -> Shown:
        self.asked.append(command)
        if command not in self.answers:
            raise Skipped(Reason.VERSION, f"this PgBouncer has no {command}", step=command)
        columns, rows = self.answers[command]
        return shown(command, columns, rows)


@cache
def check(name: str) -> Check:
    return load_check(bundled("checks") / "pgbouncer" / f"{name}.yaml", Engine.PGBOUNCER)


def measured(name: str, console: Console, *, memory: Memory | None = None, **target: Any) -> Sequence[RawRow]:
    """The rows of a bundled check, which have to fit what its file declares."""
    asked = check(name)
    place = replace(TARGET, **target)
    if asked.command is not None:
        rows = rows_of(asked, console.show(asked.command), place)
    else:
        context = ProbeContext(
            show=console.show,
            process=lambda: Process(1, 1024.0, 10.0),
            facts=facts_of(console.show("SHOW VERSION"), console.show("SHOW CONFIG"), place),
            check=asked,
            target=place,
            memory=memory or Memory(),
        )
        rows = PROBES[asked.probe or ""](context)
    fit(asked, rows)
    return rows
