"""Whatever a user gets wrong is answered by one clear message with the place and the remedy, and by exit code 3."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.command import Answer, dbwatch
from tests.conftest import FreshPostgres, FreshRedis
from tests.harness import ports
from tests.harness.cluster import SAFE
from tests.harness.freeze import frozen
from tests.harness.postgres import Postgres

PASSWORD = "Zqk7wvXj4mRt"  # no four letters of it stand in any word of ours
OTHER = "8PYbLdh2uKcG"
URL = f"postgresql://monitor:{PASSWORD}@127.0.0.1:1/shop"
TARGET = f"targets:\n  - {{name: shop, engine: postgres, url: '{URL}'}}\n"


def no_secret(answer: Answer, secret: str = PASSWORD) -> None:
    pieces = [secret[at : at + 4] for at in range(len(secret) - 3)]
    told = [piece for piece in pieces if piece in answer.everything]
    assert not told, answer


def refused(answer: Answer, *words: str) -> None:
    """Nothing on stdout, one message on stderr with all of `words`, exit code 3."""
    assert answer.code == 3, answer
    assert answer.out == "", answer
    assert "Traceback" not in answer.err, answer
    assert answer.err.strip(), answer
    no_secret(answer)
    for word in words:
        assert word in answer.err, answer


def unreachable(answer: Answer, *words: str) -> None:
    """A whole report of a server that could not be asked, exit code 3."""
    assert answer.code == 3, answer
    assert answer.err == "", answer
    assert "UNREACHABLE" in answer.out, answer
    no_secret(answer)
    for word in words:
        assert word in answer.out, answer


# -- the command line ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"mysql://u:{PASSWORD}@h/db", ("argument 1", "mysql://", "postgresql://", "redis://")),
        (f"h://{PASSWORD}", ("argument 1", "h://", "postgresql://")),
        (f"postgresql://u:{PASSWORD}@h:99999/db", ("argument 1", "port", "1 to 65535")),
        (f"postgresql://u:{PASSWORD}@h:abc/db", ("argument 1", "port", "1 to 65535")),
        (f"postgresql://u:{PASSWORD[:6]}/{PASSWORD[6:]}@h/db", ("argument 1", "%2F")),
        (f"postgresql://u:{PASSWORD[:6]}#{PASSWORD[6:]}@h/db", ("argument 1", "%23")),
        (f"postgresql://u:{PASSWORD}@[::1/db", ("argument 1", "IPv6", "]")),
        (f"redis://:{PASSWORD}@h/cache", ("argument 1", "number of a database")),
    ],
)
def test_a_url_that_cannot_be_read(url: str, words: tuple[str, ...]) -> None:
    refused(dbwatch("check", url), *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", URL, "--check", "nosuch"), ("--check", "'nosuch'", "dbwatch list")),
        (("check", URL, "--check", "unused_indexx"), ("--check", "'unused_indexx'", "unused_index")),
        (("check", URL, "--exclude", "nosuch"), ("--exclude", "'nosuch'", "dbwatch list")),
        (("check", URL, "--group", "nosuch"), ("--group", "'nosuch'", "replication")),
        (("check", "nosuch"), ("'nosuch'", "--config FILE")),
        (("check", URL, "nosuch"), ("URLs and target names",)),
        (("check", URL, "--sample", "-1"), ("--sample", "greater than or equal to 0")),
        (("check", URL, "--sample", "soon"), ("--sample", "number")),
        (("check", URL, "--fail-on", "bogus"), ("--fail-on", "'bogus'", "warning or critical")),
        (("check", URL, "--format", "bogus"), ("--format", "'bogus'", "json", "nagios")),
        (("check", URL, "--log-level", "bogus"), ("--log-level", "'bogus'", "warning")),
        (("check", URL, "--bogus"), ("--bogus", "dbwatch check -h")),
        (("check",), ("no target", "DATABASE_URL", "--config FILE")),
        (("serve",), ("no target", "DATABASE_URL", "--config FILE")),
        (("serve", URL, "--web.listen-address", "nonsense"), ("--web.listen-address", "'nonsense'", "127.0.0.1:10187")),
        (("serve", URL, "--config", "/nonexistent.yaml"), ("URLs or --config",)),
        (("chek",), ("'chek'", "Did you mean", "check")),
        (("explain", "unused_indx"), ("unused_indx", "unused_index")),
        (("explain",), ("name", "dbwatch explain -h")),
        (("list", "--format", "bogus"), ("--format", "'bogus'", "text or json")),
        (("grants", "--engine", "bogus"), ("--engine", "'bogus'", "postgres, redis or pgbouncer")),
        (("schema", "bogus"), ("'bogus'", "check or config")),
        (("validate", "/nonexistent.yaml"), ("/nonexistent.yaml",)),
    ],
    ids=lambda value: " ".join(value).replace(URL, "URL") if isinstance(value, tuple) else None,
)
def test_a_command_line_that_cannot_be_followed(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(dbwatch(*arguments), *words)


@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL"])
def test_a_variable_that_holds_no_url(variable: str) -> None:
    refused(dbwatch("check", env={variable: f"mysql://u:{PASSWORD}@h/db"}), variable, "mysql://")
    refused(dbwatch("check", env={f"{variable}_FILE": "/nonexistent"}), f"{variable}_FILE", "/nonexistent")


def test_a_variable_that_holds_the_other_kind_of_url() -> None:
    refused(dbwatch("check", env={"REDIS_URL": URL}), "REDIS_URL", "Redis URL")


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    place = tmp_path / "missing" / "report.txt"
    refused(dbwatch("check", URL, "--check", "server_unreachable", "--output", place), str(place), "cannot be written")
    refused(dbwatch("check", URL, "--check", "server_unreachable", "--output", tmp_path), str(tmp_path), "directory")


# -- the configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (TARGET + "  - [broken", 3, ("not valid YAML",)),
        (TARGET + "targets: []\n", 3, ("targets", "twice", "line 1")),
        (TARGET + "nosuch: 1\n", 3, ("nosuch", "not a known key", "checks_dir, defaults, targets")),
        (TARGET + "default: {}\n", 3, ("default:", "did you mean defaults?")),
        (TARGET + "defaults: {checks: {disable: [unused_indx]}}\n", 3, ("'unused_indx'", "unused_index")),
        (TARGET + "defaults: {thresholds: {nosuch: {warning: 'x > 1'}}}\n", 3, ("'nosuch'", "dbwatch list")),
        (
            TARGET + "defaults: {thresholds: {unused_index: {warning: 'index_bytes >> 1'}}}\n",
            3,
            ("thresholds.unused_index.warning", "character 14"),
        ),
        (
            TARGET + "defaults: {thresholds: {unused_index: {warning: 'index_size > 1'}}}\n",
            3,
            ("thresholds.unused_index.warning", "index_size", "index_bytes"),
        ),
        (TARGET + "defaults: {intervals: {unused_index: 5 parsecs}}\n", 3, ("5 parsecs", "min")),
        (TARGET.replace("shop,", "Shop!,"), 2, ("targets[0].name",)),
        (TARGET.replace(PASSWORD, "${NOSUCH_NAME}"), 2, ("targets[0].url", "NOSUCH_NAME", "not set")),
        (TARGET.replace("engine: postgres", "engine: redis"), 2, ("targets[0].url", "PostgreSQL", "redis")),
        (TARGET.replace("postgresql:", "mysql:"), 2, ("targets[0].url", "mysql://")),
        (TARGET + TARGET.splitlines()[1] + "\n", 3, ("targets[1].name", "shop", "already")),
        ("targets:\n", 1, ("targets", "list")),
        ("- 1\n", 1, ("not a mapping", "targets:")),
        ("", 1, ("not a mapping", "targets:")),
        ("targets: []\n", None, ("no target",)),
    ],
)
def test_a_configuration_that_cannot_be_used(
    tmp_path: Path, text: str, line: int | None, words: tuple[str, ...]
) -> None:
    path = tmp_path / "dbwatch.yaml"
    path.write_text(text)
    place = f"{path}:{line}:" if line is not None else f"{path}:"
    refused(dbwatch("check", "--config", path), place, *words)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "dbwatch.yaml"
    path.write_text(TARGET + "nosuch: 1\ndefaults: {checks: {disable: [nosuch]}, intervals: {nosuch: 1h}}\n")
    for command in ("check", "serve", "validate", "list"):
        answer = dbwatch(command, "--config", path)
        refused(answer, f"{path}:3: nosuch:", f"{path}:4: defaults.checks.disable[0]:", "defaults.intervals.nosuch")


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "nosuch.yaml", tmp_path):
        refused(dbwatch("check", "--config", path), str(path), "cannot be read")
        refused(dbwatch("serve", env={"DBWATCH_CONFIG": str(path)}), str(path), "cannot be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_configuration_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "dbwatch.yaml"
    path.write_text(TARGET)
    path.chmod(0)
    refused(dbwatch("check", "--config", path), str(path), "Permission denied", "mode")


def test_a_target_that_the_configuration_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "dbwatch.yaml"
    path.write_text(TARGET)
    refused(dbwatch("check", "--config", path, "orders"), str(path), "'orders'", "targets: shop")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("summary: x\nsqll: select 1\n", 2, ("sqll", "did you mean sql?")),
        ("summary: [\n", 2, ("not valid YAML",)),
        ("summary: x\nsummary: y\n", 2, ("summary", "twice")),
    ],
)
def test_a_broken_check_file(tmp_path: Path, text: str, line: int, words: tuple[str, ...]) -> None:
    broken = tmp_path / "own" / "postgres" / "broken.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text(text)
    path = tmp_path / "dbwatch.yaml"
    path.write_text(TARGET + "checks_dir: own\n")
    for answer in (dbwatch("check", "--config", path), dbwatch("validate", "--config", path)):
        refused(answer, f"{broken}:{line}:", *words)
    refused(dbwatch("validate", broken), f"{broken}:{line}:", *words)


def test_a_folder_of_checks_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "dbwatch.yaml"
    path.write_text(TARGET + "checks_dir: own\n")
    refused(dbwatch("check", "--config", path), str(tmp_path / "own"), "not a directory")


# -- servers that cannot be reached ----------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["postgresql", "redis"])
def test_a_port_where_nothing_listens(scheme: str) -> None:
    claim = ports.claim()
    try:
        answer = dbwatch("check", f"{scheme}://monitor:{PASSWORD}@127.0.0.1:{claim.number}/0")
        unreachable(answer, f"127.0.0.1:{claim.number}", "refused", "is the port right?", "try:")
    finally:
        claim.release()


@pytest.mark.parametrize("scheme", ["postgresql", "redis"])
def test_a_name_that_does_not_resolve(scheme: str) -> None:
    answer = dbwatch("check", f"{scheme}://monitor:{PASSWORD}@nosuch.invalid/0")
    unreachable(answer, "dns:", "nosuch.invalid", "spelled right?", "getent hosts nosuch.invalid")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that completes the handshake of TCP and then says nothing, as behind a frozen server or a bad proxy."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["postgresql", "redis"])
def test_a_host_that_does_not_answer(scheme: str, silent_port: int) -> None:
    started = time.monotonic()
    answer = dbwatch("check", f"{scheme}://monitor:{PASSWORD}@127.0.0.1:{silent_port}/0")
    unreachable(answer, "timeout:", "firewall", "try:")
    assert time.monotonic() - started < 20  # one attempt for the session and one of the connect probe, at most


def test_a_frozen_server(fresh_postgres: FreshPostgres) -> None:
    pg = fresh_postgres(17, settings=SAFE)
    url = pg.create_monitor_role()
    with frozen(pg.postmaster_pid):
        unreachable(dbwatch("check", url), "timeout:", "frozen or overloaded")
    assert dbwatch("check", url).code in (0, 1)


@pytest.fixture
def guarded_pg(fresh_postgres: FreshPostgres) -> Postgres:
    """A server that wants a password of everybody but its superuser."""
    pg = fresh_postgres(17)
    pg.create_monitor_role(password=OTHER)
    pg.hba("host all all 127.0.0.1/32 scram-sha-256")
    return pg


def test_what_a_postgres_server_turns_away(guarded_pg: Postgres) -> None:
    wrong = dbwatch("check", guarded_pg.url("dbwatch", "postgres", PASSWORD))
    unreachable(wrong, "password authentication failed", "dbwatch", "check the password", "psql")
    stranger = dbwatch("check", guarded_pg.url("stranger", "postgres", PASSWORD))
    unreachable(stranger, "stranger", "check the password", "psql")
    none = dbwatch("check", guarded_pg.url("dbwatch"))
    unreachable(none, "no password supplied", "check the password")
    missing = dbwatch("check", guarded_pg.url("dbwatch", "nosuch", OTHER))
    unreachable(missing, 'database "nosuch" does not exist', "is its name right?")
    no_secret(missing, OTHER)


def test_a_wrong_password_is_nowhere(guarded_pg: Postgres) -> None:
    url = guarded_pg.url("dbwatch", "postgres", PASSWORD)
    ways: list[Callable[[], Answer]] = [
        lambda: dbwatch("check", url, "--format", "json", "--rows", "--log-level", "debug"),
        lambda: dbwatch("check", url, "--format", "prometheus", "--log-level", "debug"),
        lambda: dbwatch("check", url, "--format", "nagios"),
        lambda: dbwatch("check", "--log-level", "debug", env={"DATABASE_URL": url}),
    ]
    for ask in ways:
        answer = ask()
        assert answer.code == 3, answer
        no_secret(answer)
    reasons = {check["reason"] for check in ways[0]().checks.values()} - {None}
    assert reasons == {"auth"}


def test_a_wrong_password_of_redis(fresh_redis: FreshRedis) -> None:
    server = fresh_redis("redis-7.0", config={"requirepass": OTHER})
    unreachable(dbwatch("check", server.url(password=PASSWORD)), "auth:", "check the password", "redis-cli")
    unreachable(dbwatch("check", f"redis://127.0.0.1:{server.port}/0"), "auth:", "check the password")
    answer = dbwatch("check", server.url(password=PASSWORD), "--format", "json", "--rows", "--log-level", "debug")
    assert answer.code == 3
    no_secret(answer)


def test_the_other_kind_of_server(fresh_redis: FreshRedis, newest_pg: Postgres) -> None:
    server = fresh_redis("redis-7.0")
    unreachable(dbwatch("check", f"redis://127.0.0.1:{newest_pg.port}/0"), "redis")
    unreachable(dbwatch("check", f"postgresql://127.0.0.1:{server.port}/x?sslmode=disable"), "postgres")


# -- serve -----------------------------------------------------------------------------------------


def test_serve_on_a_taken_port(silent_port: int) -> None:
    place = f"127.0.0.1:{silent_port}"
    refused(dbwatch("serve", URL, "--web.listen-address", place), "--web.listen-address", place, "another")
