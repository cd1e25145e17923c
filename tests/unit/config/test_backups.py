"""Where backups are: one key a source, one or a list of each, and what belongs to which kind of target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dbwatch.config import Backups, Config, Dumps
from dbwatch.config.backups import Barman, Marker, MarkerTable, Pgbackrest, RestoreTest, Schedule, Walg
from dbwatch.errors import ConfigError

Load = Callable[..., Config]
EVERYTHING = """\
targets:
  - {name: orders, engine: postgres, host: h, marker: {schema: ops, table: backups, column: at, every: 12h}}
  - name: kept
    engine: backup
    backup_of: orders
    dumps:
      - {path: dumps, pattern: "*.dump", databases: [orders, crm], retention: 90d, keep: 30, name: nightly}
      - {path: /backups/weekly, every: 7d}
    pgbackrest:
      stanza: main
      command: [sudo, -n, -u, postgres, pgbackrest]
      config_file: pgbackrest.conf
      full_every: 14d
      wal_every: 5m
      retention: 30d
    barman: {server: main}
    walg: {env_file: walg.env, recorded: walg.json, name: s3}
    marker: {path: done, name: snapshots}
    restore_test: {path: restored}
"""


def test_every_source_has_its_key(load: Load) -> None:
    orders, kept = load(EVERYTHING).targets
    assert orders.backups == Backups(tables=(MarkerTable("backups", "at", "ops", 43_200.0),))
    base = kept.backups.dumps[0].path.parent
    assert kept.backups == Backups(
        dumps=(
            Dumps(base / "dumps", "*.dump", 86_400.0, 90 * 86_400.0, 30, ("orders", "crm"), "nightly"),
            Dumps(Path("/backups/weekly"), "*", 7 * 86_400.0),
        ),
        pgbackrest=(
            Pgbackrest(
                "main",
                ("sudo", "-n", "-u", "postgres", "pgbackrest"),
                base / "pgbackrest.conf",
                schedule=Schedule(full_every=14 * 86_400.0, wal_every=300.0, retention=30 * 86_400.0),
            ),
        ),
        barman=(Barman("main"),),
        walg=(Walg("s3", env_file=base / "walg.env", recorded=base / "walg.json"),),
        markers=(Marker(base / "done", name="snapshots"),),
        restore_test=RestoreTest(base / "restored", 90 * 86_400.0),
        server="orders",
    )
    assert kept.address.endswith("/backups/weekly, pgbackrest main, barman main, wal-g s3, " + str(base / "done"))


def test_a_full_backup_is_not_due_more_often_than_any(load: Load) -> None:
    (target,) = load("targets: [{name: b, engine: backup, barman: {server: m, every: 30d}}]").targets
    assert target.backups.barman[0].schedule == Schedule(every=30 * 86_400.0, full_every=30 * 86_400.0)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (
            "engine: backup, restore_test: {path: x}",
            "needs one of `dumps`, `pgbackrest`, `barman`,",
        ),
        (
            "engine: backup, dumps: {path: x}, backup_of: nobody",
            "backup_of: nobody is no PostgreSQL target",
        ),
        ("engine: backup, dumps: {paht: x}", "dumps.paht: is not a known key (did you mean path?)"),
        ("engine: backup, pgbackrest: [{stanza: a}, {}]", "pgbackrest[1].stanza: is missing"),
        ("engine: backup, pgbackrest: {stanza: --all}", "pgbackrest.stanza: string should match pattern"),
        (
            "engine: backup, pgbackrest: {stanza: a, keep: 0}",
            "pgbackrest.keep: input should be greater than",
        ),
        ("engine: backup, barman: {server: m, retention: 30}", "30 s is no time to keep a backup for: write 30d"),
        ("engine: backup, dumps: {path: x}, restore_test: x", "restore_test: has to be a mapping of keys to values"),
        ("engine: backup, barman: {server: m, every: nightly}", "'nightly' is not a duration"),
        ("engine: backup, marker: {table: t, column: c}", "belongs to the target of its PostgreSQL server"),
        (
            "engine: backup, marker: {path: x, table: t, column: c}",
            "a marker is a `path`, or a `table` and its `column`",
        ),
        ("engine: backup, marker: {table: t}", "a marker is a `path`, or a `table` and its `column`"),
        ("engine: postgres, host: h, pgbackrest: {stanza: a}", "`pgbackrest` belongs to a target of its own"),
        ("engine: postgres, host: h, backup_of: a", "`backup_of` belongs to a target of its own"),
        ("engine: postgres, host: h, marker: {path: x}", "a file belongs to a target of its own with `engine: backup`"),
        ("engine: redis, host: h, marker: {table: t, column: c}", "a table belongs to a PostgreSQL target"),
        ("engine: redis, host: h, dumps: {path: x}", "`dumps` of Redis belong to a target of its own"),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(load: Load, target: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"targets: [{{name: a, {target}}}]")
    assert problem in str(caught.value)
