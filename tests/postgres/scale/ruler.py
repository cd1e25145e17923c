"""What a pass of all default checks costs a server, by its own clock: planning and executing our statements."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from dbwatch.config import Target
from dbwatch.config.loader import zero_config
from dbwatch.engines import Engines
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.lanes import Lane
from dbwatch.model import Outcome
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.harness.postgres import Postgres
from tests.postgres.scale import town

ROLE = "dbwatch"
_SPENT = """
select
  coalesce(sum(total_exec_time + total_plan_time), 0) / 1000,
  coalesce(sum(calls), 0)::int
from pg_stat_statements as s
join pg_roles as r on r.oid = s.userid
where r.rolname = %s
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """One check: what the server spent on it, how many statements, how long it took in all, and what came of it."""

    check: str
    scope: str
    server_seconds: float
    statements: int
    wall_seconds: float
    outcome: Outcome


@contextmanager
def lane(pg: Postgres, dbname: str = town.DATABASE, **changes: object) -> Iterator[tuple[Lane, Store]]:
    """A lane with every default check on one target, as `dbwatch check URL` makes it."""
    config = zero_config([pg.url(ROLE, dbname)], environ={})
    target: Target = replace(config.targets[0], **changes)  # type: ignore[arg-type]  # named by the tests
    store, watchdog = Store(), Watchdog()
    made = Lane(target, Engines().adapter(target.engine), selected(config.catalogue, target), store, watchdog)
    try:
        yield made, store
    finally:
        made.close()
        watchdog.close()


def measured(pg: Postgres) -> list[Cost]:
    """Every default check once, counters judged over their lifetime as by `--sample 0`; worst first."""
    costs = []
    with lane(pg) as (made, _), pg.connect() as ruler:
        made.connect()
        for name, check in made.checks.items():
            if check.probe == CONNECT_PROBE:
                continue
            ruler.execute("select pg_stat_statements_reset()")
            started = time.monotonic()
            outcome = made.run(name, lifetime=True)
            wall = time.monotonic() - started
            row = ruler.execute(_SPENT.encode(), [ROLE]).fetchone()
            assert row is not None
            costs.append(Cost(name, str(check.scope), float(row[0]), int(row[1]), wall, outcome))
    return sorted(costs, key=lambda cost: -cost.server_seconds)


def total_seconds(costs: list[Cost]) -> float:
    return sum(cost.server_seconds for cost in costs)


def table(costs: list[Cost]) -> str:
    """The costs as text, worst first."""
    lines = [f"{'check':32} {'scope':9} {'server ms':>10} {'wall ms':>8} {'stmts':>5} {'rows':>5}  status"]
    for cost in costs:
        said = f"{cost.outcome.status} {cost.outcome.reason or ''}".strip()
        lines.append(
            f"{cost.check:32} {cost.scope:9} {cost.server_seconds * 1000:10.1f} {cost.wall_seconds * 1000:8.1f}"
            f" {cost.statements:5} {len(cost.outcome.rows):5}  {said}"
        )
    lines.append(f"{'sum':32} {'':9} {total_seconds(costs) * 1000:10.1f}")
    return "\n".join(lines)
