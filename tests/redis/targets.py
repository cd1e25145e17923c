"""Targets of real servers for the engine's tests, and a lane to run checks through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dbwatch.bundled import bundled
from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import PasswordSource, Target
from dbwatch.config.url import parse_url
from dbwatch.engines.redis.adapter import RedisAdapter
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store

ADAPTER = RedisAdapter()


def target_of(url: str, **changes: object) -> Target:
    """The target that a config with this URL has."""
    parts = parse_url(url)
    target = Target(
        name="cache",
        engine=Engine.REDIS,
        host=parts.host,
        port=parts.port,
        database=parts.database,
        user=parts.user,
        password=PasswordSource(literal=parts.password) if parts.password is not None else None,
        options=parts.options,
        tls=parts.tls,
        connect_timeout=1.0,
    )
    return replace(target, **changes)  # type: ignore[arg-type]  # a test's own keyword arguments


def bundled_check(name: str, thresholds: Mapping[Status, str] | None = None, **changes: object) -> Check:
    """A check of the catalogue, with other thresholds or limits when the test cannot wait for the real ones."""
    check = load_check(bundled("checks") / "redis" / f"{name}.yaml", Engine.REDIS)
    check = check.with_levels(thresholds) if thresholds else check
    return replace(check, **changes)  # type: ignore[arg-type]  # a test's own keyword arguments


def lane_for(target: Target, checks: Sequence[Check], store: Store, watchdog: Watchdog) -> Lane:
    return Lane(target, RedisAdapter(), checks, store, watchdog)
