"""Owns how many series a target has under each profile: `python -m tests.bench.profiles` notes and prints them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dbwatch.catalogue.schema import Profile
from dbwatch.config import zero_config
from dbwatch.daemon import Daemon
from dbwatch.logs import configure
from tests.bench import ground
from tests.bench.notes import write
from tests.harness.postgres import Postgres
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually

SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "max_locks_per_transaction": "256"}
_ABOUT_CHECKS = ("dbwatch_check_", "dbwatch_target_", "dbwatch_threshold", "dbwatch_series_")


def series(urls: Sequence[str], profile: Profile) -> Mapping[str, Counter[str]]:
    """The families of each target by their series, when every check has run twice."""
    found = zero_config(urls, environ={})
    config = replace(found, targets=tuple(replace(target, profile=profile) for target in found.targets))
    daemon = Daemon(lambda: config, "127.0.0.1", 0, owns_process=False)
    daemon.start()
    try:
        eventually(lambda: daemon.scheduler.first_pass_done, timeout=300)
        waiting = re.compile(r'dbwatch_check_reason\{.*reason="no_baseline"')
        eventually(lambda: not waiting.search(daemon.exposition.page().decode()), timeout=120, every=0.5)
        page = daemon.exposition.page().decode()
    finally:
        daemon.stop()
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    return {
        target.name: Counter(line.partition("{")[0] for line in lines if f'target="{target.name}"' in line)
        for target in config.targets
    }


def main() -> None:
    """Note them; docs/performance.md is written from that."""
    configure("error", "auto")
    with (
        Postgres(18, settings=SETTINGS) as idle,
        Postgres(18, settings=SETTINGS) as town,
        RedisServer("redis-7.0") as redis,
    ):
        idle.create_monitor_role("dbwatch", grants=("pg_monitor",))
        idle.sql("create extension if not exists pg_stat_statements")
        ground.fill_postgres(town, 1_000, 500)
        urls = [idle.url("dbwatch"), town.url("dbwatch", ground.DATABASE), redis.url()]
        for profile in Profile:
            counted = series(urls, profile)
            numbers = {name: families.total() for name, families in counted.items()}
            numbers |= {
                f"{name}_about_checks": sum(n for family, n in families.items() if family.startswith(_ABOUT_CHECKS))
                for name, families in counted.items()
            }
            write("profiles", str(profile), numbers)
            print(profile, numbers)
            print("  ", counted["postgres"].most_common(12))


if __name__ == "__main__":
    main()
