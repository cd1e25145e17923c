"""Owns asking one check of one target the way the product does: through a Lane, twice when it compares readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.config.backup_schema import BackupsFile
from dbwatch.config.schema import ExpectFile, MachineFile
from dbwatch.config.settle import expect_of, machine_of
from dbwatch.engines import Engines
from dbwatch.engines.base import Adapter
from dbwatch.engines.hosts import HostTold, VolumeSpace
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Outcome, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from dbwatch.units import parse_bytes
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
        extras["dumps"] = {"path": ".", **extras["dumps"]}
    sources = {key: extras.pop(key) for key in list(extras) if key in BackupsFile.model_fields}
    if sources:
        target = replace(target, backups=BackupsFile.model_validate(sources).settled(folder))
    if "exclude_databases" in extras:
        target = replace(target, exclude_databases=tuple(extras.pop("exclude_databases")))
    if "connect_timeout" in extras:
        target = replace(target, connect_timeout=float(extras.pop("connect_timeout")))
    if "expect" in extras:
        target = replace(target, expect=expect_of(ExpectFile.model_validate(extras.pop("expect"))))
    if "machine" in extras:
        target = replace(target, machine=machine_of(MachineFile.model_validate(extras.pop("machine"))))
    extras.pop("host", None)
    if extras:
        raise ValueError(f"the case's target knows no {', '.join(extras)}")
    return target


def host_told(host: Mapping[str, Any]) -> HostTold:
    """What the watched machine of a case's target has told: `{memory, cpus, volumes: {wal: {size, available}}}`."""
    spaces = {
        name: VolumeSpace(f"/{name}", parse_bytes(space["size"]), parse_bytes(space["available"]))
        for name, space in host.get("volumes", {}).items()
    }
    memory = host.get("memory")
    return HostTold("box", None if memory is None else float(parse_bytes(memory)), host.get("cpus"), spaces)


def ask(
    target: Target, check: Check, case: Case, between: Callable[[], None], *, adapter: Adapter | None = None
) -> Outcome:
    """The outcome of one run, or of the second when the check compares two or the case wants it.

    `between` happens before the last look.
    """
    watchdog, store = Watchdog(), Store()
    listen(store)
    if case.thresholds:
        target = replace(target, thresholds={check.name: case.thresholds})
    engines = Engines()
    if "host" in case.target:
        engines.hosts.teller().tell((target.name,), host_told(case.target["host"]))
    lane = Lane(target, adapter or engines.adapter(target.engine), [check], store, watchdog)
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
