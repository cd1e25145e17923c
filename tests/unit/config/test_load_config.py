"""A config is read whole or refused whole, with every problem at its line and no secret in any of them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dbwatch.catalogue.schema import Profile
from dbwatch.config import Backups, Config, Dumps, Ignore, load_config
from dbwatch.config.target import Expect, Machine
from dbwatch.errors import ConfigError
from dbwatch.model import Engine, Role, Status

Load = Callable[..., Config]
SECRET = "hunter2hunter2"

DESIGN = """\
targets:
  - name: orders
    engine: postgres
    url: postgresql://dbwatch@db.internal:5432/orders?sslmode=verify-full
    password_file: /run/secrets/orders
    profile: standard          # minimal | standard | deep
    thresholds: {unused_index: {warning: "index_bytes > 1GiB"}}
  - {name: cache, engine: redis, url: "rediss://cache:6379/0", labels: {team: web}}
  - {name: orders-backup, engine: backup, dumps: {path: /backups/orders, every: 24h}}
"""
PLAIN = "targets:\n  - {name: a, engine: postgres, host: h}\n"

ENGINES = [repr(str(engine)) for engine in Engine]


def refused(load: Load, text: str, environ: dict[str, str] | None = None) -> list[str]:
    """The problems, without the directory of the test."""
    with pytest.raises(ConfigError) as caught:
        load(text, environ)
    return [str(problem).rpartition("dbwatch.yaml:")[2] for problem in caught.value.problems]


def test_the_example_of_the_design_loads(load: Load) -> None:
    config = load(DESIGN)
    orders, cache, backup = config.targets
    assert (orders.name, orders.engine, orders.address) == ("orders", Engine.POSTGRES, "db.internal:5432")
    assert (orders.database, orders.user, dict(orders.options)) == ("orders", "dbwatch", {"sslmode": "verify-full"})
    assert orders.password is not None
    assert orders.password.file == Path("/run/secrets/orders")
    assert orders.profile is Profile.STANDARD
    assert orders.thresholds == {"unused_index": {Status.WARNING: "index_bytes > 1GiB"}}
    assert (cache.address, cache.database, cache.tls, dict(cache.labels)) == ("cache:6379", "0", True, {"team": "web"})
    assert cache.password is None
    assert backup.backups == Backups(dumps=(Dumps(Path("/backups/orders"), "*", 86_400),))
    assert backup.address == "/backups/orders"
    assert config.catalogue.names == ("replication_lag", "unused_index", "evictions")


def test_what_a_server_is_meant_to_be(load: Load) -> None:
    config = load("""\
targets:
  - {name: a, engine: postgres, host: a, expect: {role: primary, replicas: [b, c]}, machine: {memory: 16GiB, cpus: 4}}
  - {name: b, engine: postgres, host: b, expect: {replicas: 2}}
  - {name: c, engine: postgres, host: c}
""")
    a, b, c = config.targets
    assert a.expect == Expect(Role.PRIMARY, ("b", "c"), 2)
    assert a.machine == Machine(16 * 1024**3, 4)
    assert b.expect == Expect(None, (), 2)
    assert c.expect == Expect(None, (), None)
    assert c.machine == Machine(None, None)


def test_defaults_and_targets_are_joined(load: Load, tmp_path: Path) -> None:
    config = load("""\
defaults:
  profile: deep
  connect_timeout: 3s
  intervals: {unused_index: 2h, replication_lag: 30s}
  thresholds: {replication_lag: {warning: lag_seconds > 1s, critical: lag_seconds > 2s}}
  labels: {env: prod, team: dba}
  checks: {disable: ["group:memory"]}
  databases: {exclude: ["test_*"]}
targets:
  - name: a
    engine: postgres
    host: db
    dbname: shop
    user: u
    password_env: PW
    profile: minimal
    intervals: {unused_index: 1d}
    thresholds: {replication_lag: {warning: lag_seconds > 9s}}
    labels: {team: web}
    checks: {enable: [unused_*], disable: [replication_lag]}
    databases: {include: [shop, "test_*"]}
    tls: {mode: verify-ca, ca_file: certs/ca.pem}
    ignore:
      - {check: unused_index, key: "shop.public.*", until: 2027-01-01, reason: rebuilt in spring}
  - {name: b, engine: redis, host: /run/redis.sock, password_command: [pass, show, redis]}
  - {name: c, engine: redis, host: "::1", tls: {mode: disable}}
""")
    a, b, c = config.targets
    assert (a.profile, a.connect_timeout, a.address) == (Profile.MINIMAL, 3, "db:5432")
    assert a.intervals == {"unused_index": 86_400, "replication_lag": 30}
    assert a.thresholds["replication_lag"] == {Status.WARNING: "lag_seconds > 9s", Status.CRITICAL: "lag_seconds > 2s"}
    assert a.labels == {"env": "prod", "team": "web"}
    assert (a.enable, a.disable) == (("unused_*",), ("group:memory", "replication_lag"))
    assert a.watches_database("shop")
    assert not a.watches_database("test_1")
    assert not a.watches_database("other")
    assert (a.tls, dict(a.options)) == (True, {"sslmode": "verify-ca", "sslrootcert": str(tmp_path / "certs/ca.pem")})
    assert a.ignore == (Ignore("unused_index", "shop.public.*", "rebuilt in spring", datetime.date(2027, 1, 1)),)
    assert a.password is not None
    assert a.password.env == "PW"
    assert (b.address, b.port, b.profile) == ("/run/redis.sock", None, Profile.DEEP)
    assert b.password is not None
    assert b.password.command == ("pass", "show", "redis")
    assert (c.address, c.tls) == ("[::1]:6379", False)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["1: is not a mapping (a config starts with `targets:`)"]),
        ("- a\n", ["1: is not a mapping (a config starts with `targets:`)"]),
        ("target: []\n", ["1: target: is not a known key (did you mean targets?)"]),
        ("targets: {}\n", ["1: targets: input should be a valid list"]),
        (PLAIN.replace("host", "hots"), ["2: targets[0].hots: is not a known key (did you mean host?)"]),
        (
            PLAIN.replace("name: a", "name: A b"),
            ["2: targets[0].name: string should match pattern '^[a-z][a-z0-9_-]{0,62}$'"],
        ),
        (
            PLAIN.replace("postgres", "oracle"),
            [f"2: targets[0].engine: input should be {', '.join(ENGINES[:-1])} or {ENGINES[-1]}"],
        ),
        (PLAIN.replace(", host: h", ""), ["2: targets[0]: give `url` or `host`"]),
        (PLAIN.replace("name: a, ", ""), ["2: targets[0].name: is missing"]),
        (PLAIN.replace("host: h", "host: h, port: 70000"), ["2: targets[0].port: input should be less than 65536"]),
        (
            PLAIN.replace("host: h", "host: h, password_env: A, password_file: b"),
            ["2: targets[0]: give one of `password_file`, `password_env` and `password_command`"],
        ),
        (
            PLAIN.replace("host: h", "host: h, url: 'postgresql://h'"),
            ["2: targets[0]: give either `url` or `host`, `port`, `dbname` and `user`"],
        ),
        (
            PLAIN.replace("host: h", "url: 'redis://h'"),
            ["2: targets[0].url: is a Redis URL, the engine is postgres"],
        ),
        (
            PLAIN.replace("postgres, host: h", "backup"),
            ["2: targets[0]: a backup target needs one of `dumps`, `pgbackrest`, `barman`, `walg` and `marker`"],
        ),
        (
            PLAIN.replace("postgres, host: h", "backup, host: h, dumps: {path: /x}"),
            ["2: targets[0]: a backup target has no server: it takes what says where its backups are"],
        ),
        (
            PLAIN.replace("host: h", "host: h, expect: {role: master}"),
            ["2: targets[0].expect.role: input should be 'primary' or 'standby'"],
        ),
        (
            PLAIN.replace("host: h", "host: h, machine: {memory: much}"),
            ["2: targets[0].machine.memory: 'much' is not a size: write it like 512kB, 100MiB or 1.5GiB"],
        ),
        (PLAIN.replace("host: h", "host: h, labels: {job: x}"), ["2: targets[0]: the label job is reserved"]),
        (
            PLAIN + "  - {name: a, engine: redis, host: h}\n",
            ["3: targets[1].name: a is the name of another target already"],
        ),
        (
            PLAIN + "defaults: {connect_timeout: 2min}\n",
            ["3: defaults.connect_timeout: input should be less than or equal to 60"],
        ),
        (PLAIN + "checks_dir: nowhere\n", ["/nowhere: is not a directory (name a directory of check files)"]),
        (
            PLAIN + "defaults:\n  intervals: {unused_indx: 1h}\n",
            ["4: defaults.intervals.unused_indx: no check is named 'unused_indx' (did you mean unused_index?)"],
        ),
        (
            PLAIN + "defaults:\n  thresholds:\n    zzz: {warning: a > 1}\n",
            ["5: defaults.thresholds.zzz: no check is named 'zzz' (`dbwatch list` shows them all)"],
        ),
        (
            PLAIN.replace("host: h", "host: h, thresholds: {evictions: {warning: evicted > 1}}"),
            ["2: targets[0].thresholds.evictions: no check is named 'evictions' (`dbwatch list` shows them all)"],
        ),
        (
            PLAIN + "defaults:\n  ignore:\n    - {check: unused_indx, reason: x}\n",
            ["5: defaults.ignore[0].check: no check is named 'unused_indx' (did you mean unused_index?)"],
        ),
        (PLAIN + "defaults:\n  ignore:\n    - {check: unused_index}\n", ["5: defaults.ignore[0].reason: is missing"]),
        (
            PLAIN + "defaults:\n  checks: {disable: ['group:indexs']}\n",
            ["4: defaults.checks.disable[0]: no check is named 'group:indexs' (did you mean group:indexes?)"],
        ),
        (
            PLAIN + "defaults: {thresholds: {unused_index: {}}}\n",
            ["3: defaults.thresholds.unused_index: give `critical`, `warning` or both"],
        ),
        (
            PLAIN.replace("name: a", "name: on"),
            [
                (
                    "2: targets[0].name: on is a boolean to some YAML readers and a word to others "
                    "(write true or false, or quote the word)"
                ),
            ],
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(load: Load, text: str, problems: Sequence[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    said = [str(p).replace(f"{tmp_path}/dbwatch.yaml:", "").replace(str(tmp_path), "") for p in caught.value.problems]
    assert said == problems


def test_a_bad_threshold_shows_where_it_breaks(load: Load) -> None:
    text = PLAIN.replace(
        "host: h", "host: h, thresholds: {unused_index: {warning: index_byte > 1GiB, critical: index_bytes >}}"
    )
    problems = refused(load, text)
    assert len(problems) == 2
    assert problems[0].startswith("2: targets[0].thresholds.unused_index.critical: ")
    assert problems[1].startswith("2: targets[0].thresholds.unused_index.warning: ")
    assert "did you mean index_bytes?" in problems[1]


def test_all_problems_come_at_once_and_in_the_order_of_the_file(load: Load) -> None:
    """Schema, environment, catalogue and URL are four steps of ours, and one file of the user's."""
    problems = refused(
        load,
        """\
defaults:
  intervals: {unused_indx: 1h}
  profil: deep
targets:
  - name: a
    engine: postgres
    url: ${MISSING}
    thresholds: {replication_lag: {warning: lag > 1s}}
  - name: b
    engine: rediss
    host: h
    ignore: [{check: evictionz, reason: x}]
""",
    )
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["2", "defaults.intervals.unused_indx"],
        ["3", "defaults.profil"],
        ["7", "targets[0].url"],
        ["8", "targets[0].thresholds.replication_lag.warning"],
        ["10", "targets[1].engine"],
        ["12", "targets[1].ignore[0].check"],
    ]
    assert problems[2].endswith("the environment variable MISSING is not set")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@h:port/db",
        f"postgresql://u:{SECRET}/x@h/db",
        f"postgresql://u:x?{SECRET}@h/db",
        f"postgresql://u:12?{SECRET}@h/db",
        f"postgresql://u:x#{SECRET}@h/db",
        f"postgresql://u:{SECRET}@[::1/db",
        f"postgresql://u:{SECRET}@h:1,g:2/db",
        f"postgres+x y://u:{SECRET}@",
        f"mysql://u:{SECRET}@h/db",
        f"{SECRET}://u@h",
        f"u:{SECRET}@h/db",
        f"redis://:a@h:1/{SECRET}",
        f"redis://:a@h:1/{SECRET}@h",
        f"redis://u:{SECRET}@h/db",
        f"postgresql://u:{SECRET}@h%00/db",
    ],
)
def test_a_bad_url_is_refused_without_its_password(load: Load, url: str) -> None:
    engine = "redis" if url.startswith("redis") else "postgres"
    problems = refused(load, f"targets:\n- name: a\n  engine: {engine}\n  url: ${{URL}}\n", {"URL": url})
    assert problems[0].startswith("4: targets[0].url: ")
    assert SECRET not in "".join(problems) or url.startswith(SECRET)


def test_no_secret_stands_in_a_config(load: Load) -> None:
    config = load(
        f"targets:\n- {{name: a, engine: postgres, url: 'postgresql://u:{SECRET}@h/d?sslpassword={SECRET}'}}\n"
    )
    (target,) = config.targets
    assert SECRET not in repr(config) + str(target) + repr(target.password) + target.address
    assert target.password is not None
    assert target.password.read().reveal() == SECRET


def test_values_come_from_the_environment_and_from_files(load: Load, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"redis://:{SECRET}@h:1/2\r\n")
    config = load(
        "targets:\n- {name: a, engine: redis, url: !file url}\n"
        "- {name: b, engine: postgres, host: 'db-${N}.${DOMAIN}'}\n",
        {"N": "7", "DOMAIN": "internal"},
    )
    a, b = config.targets
    assert (a.address, a.database) == ("h:1", "2")
    assert a.password is not None
    assert a.password.read().reveal() == SECRET
    assert b.host == "db-7.internal"


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("${MISSING}", "the environment variable MISSING is not set"),
        ("${no-name}", "${no-name} is not an environment variable (write ${NAME})"),
        ("${}", "is not an environment variable"),
        ("!file nowhere", "nowhere cannot be read: No such file or directory"),
        ("!file binary", "binary is not UTF-8"),
        ("!file /dev/zero", "/dev/zero is larger than 64 KiB"),
        ("!env X", "uses the tag !env"),
    ],
)
def test_a_value_that_cannot_be_had_is_one_problem(load: Load, tmp_path: Path, value: str, part: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    problems = refused(load, f"targets:\n- name: a\n  engine: postgres\n  host: h\n  user: {value}\n")
    assert len(problems) == 1
    assert problems[0].startswith("5: targets[0].user: ")
    assert part in problems[0]


def test_a_config_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "nowhere.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/nowhere.yaml: cannot be read: No such file or directory (check its path, owner and mode)"
    )


def test_checks_of_the_user_join_the_catalogue(load: Load, tmp_path: Path, catalogue: Path) -> None:
    mine = tmp_path / "mine" / "postgres"
    mine.mkdir(parents=True)
    text = (catalogue / "postgres" / "unused_index.yaml").read_text()
    (mine / "my_index.yaml").write_text(text.replace("dbwatch_pg_unused", "dbwatch_pg_my"))
    config = load(PLAIN + "checks_dir: mine\ndefaults: {intervals: {my_index: 1h}}\n")
    assert "my_index" in config.catalogue.names
    (mine / "my_index.yaml").write_text(text.replace("group: indexes", "gruop: indexes"))
    with pytest.raises(ConfigError, match=r"mine/postgres/my_index.yaml:2: gruop: is not a known key"):
        load(PLAIN + "checks_dir: [mine]\n")
