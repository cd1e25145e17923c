"""Owns asking one check of one target the way the product does: through a Lane, twice when it compares readings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.config.schema import ExpectFile, MachineFile
from dbwatch.config.target import Dumps, Expect, Machine
from dbwatch.engines import Engines
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Outcome, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from dbwatch.units import parse_duration
from tests.checks.cases import CHECKS, Case
from tests.proof.capture import listen


def check_for(engine: Engine, name: str, case: Case) -> Check:
    """The bundled check with the case's thresholds, on a server that leaves no reading out of reach."""
    return _loaded(engine, name).with_levels(case.thresholds)


@cache
def _loaded(engine: Engine, name: str) -> Check:
    return load_check(CHECKS / engine.value / f"{name}.yaml", engine)


def with_extras(target: Target, case: Case, folder: Path) -> Target:
    """The target with what the case adds: `dumps` (below `folder`), `expect`, `machine` and so on."""
    extras = dict(case.target)
    if "dumps" in extras:
        dumps = extras.pop("dumps")
        every = parse_duration(dumps.get("every", "24h"))
        path = folder / dumps.get("path", ".")
        target = replace(target, dumps=Dumps(path, dumps.get("pattern", "*"), every))
    if "exclude_databases" in extras:
        target = replace(target, exclude_databases=tuple(extras.pop("exclude_databases")))
    if "connect_timeout" in extras:
        target = replace(target, connect_timeout=float(extras.pop("connect_timeout")))
    if "expect" in extras:
        target = replace(target, expect=Expect.of(ExpectFile.model_validate(extras.pop("expect"))))
    if "machine" in extras:
        target = replace(target, machine=Machine.of(MachineFile.model_validate(extras.pop("machine"))))
    if extras:
        raise ValueError(f"the case's target knows no {', '.join(extras)}")
    return target


def ask(target: Target, check: Check, case: Case, between: Callable[[], None]) -> Outcome:
    """The outcome of one run, or of the second when the check compares two or the case wants it.

    `between` happens before the last look.
    """
    watchdog, store = Watchdog(), Store()
    listen(store)
    if case.thresholds:
        target = replace(target, thresholds={check.name: case.thresholds})
    lane = Lane(target, Engines().adapter(target.engine), [check], store, watchdog)
    try:
        looks = case.looks or (2 if check.sampled and case.sample else 1)
        for _ in range(looks - 1):
            first = lane.run(check.name)
            if first.status is Status.SKIPPED:
                return first
        between()
        return lane.run(check.name, lifetime=not case.sample)
    finally:
        lane.close()
        watchdog.close()
