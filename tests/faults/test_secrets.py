"""Row 50: odd passwords, every way they can be given, every error they can be part of; and nowhere a piece of one.

A piece is any four characters in a row. The passwords are made of letters that no word of ours has in that order.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGHUP
from typing import Any
from urllib.parse import quote

import pytest
from psycopg import sql as pgsql

from dbwatch import adhoc, logs
from dbwatch.backoff import Backoff
from dbwatch.catalogue.loader import load_check
from dbwatch.config import PasswordSource, Target, load_config, zero_config
from dbwatch.deadline import Deadline
from dbwatch.engines.postgres.adapter import PostgresAdapter
from dbwatch.engines.redis.adapter import RedisAdapter
from dbwatch.errors import ConfigError, TargetError
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Reason
from dbwatch.report import Format, Manner, render
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.checks.cases import CHECKS as CHECKS_FOLDER
from tests.conftest import wanted_majors
from tests.harness.daemon import Daemon
from tests.harness.fakepg import FakePg
from tests.harness.postgres import Postgres
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually

_random = random.Random(50)
_LETTERS = "bcdfghjkmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ23456789"


def _core() -> str:
    return "".join(_random.choices(_LETTERS, k=9))


SHAPES = (
    "{a}",
    "{a}'{b}",
    '{a}"{b}',
    "{a}''{b}\"\"",
    "{a} {b}",
    " {a} ",
    "{a}%{b}",
    "{a}%20{b}",
    "{a}%zz{b}",
    "%(name)s{a}%s",
    "{a}@{b}",
    "{a}:{b}",
    "{a}/{b}",
    "{a}#{b}",
    "{a}?{b}",
    "{a}&{b}=1",
    "{a}\\{b}",
    "{a}\\n{b}\\",
    "{a}\n{b}",
    "{a}\t{b}\r{b}",
    "{{{a}}}",
    "{a}{{}}{b}",
    "${{{a}}}",
    "$({a})`{b}`",
    "{a};{b}--",
    "{a}=host={b}",
    "password={a}",
    "postgresql://u:{a}@h/{b}",
    "{a}é{b}ß",
    "🔑{a}",
    "--{a}",
    "<{a}>&amp;{b}",
    "{a}\x1b[31m{b}",
    "{a}\u202e{b}",
    "ǂ§",
    "[{a}]:{b},{a}",
)
PASSWORDS = tuple(shape.format(a=_core(), b=_core()) for shape in SHAPES)
CHECKS = ("server_unreachable", "idle_in_transaction", "redis_unreachable", "redis_memory_pressure")


def pieces(secret: str) -> set[str]:
    """Every four characters in a row; not those that the shapes share with ordinary text."""
    own = [secret[at : at + 4] for at in range(max(1, len(secret) - 3))]
    ordinary = "postgresql://u: password= host= %(name)s &amp; --"
    return {piece for piece in own if piece not in ordinary and piece.strip()}


def _spellings(piece: str) -> set[str]:
    in_json = (json.dumps(piece)[1:-1], json.dumps(piece, ensure_ascii=False)[1:-1])
    return {piece, quote(piece), repr(piece)[1:-1], *in_json}


NEEDLES = {spelled: password for password in PASSWORDS for piece in pieces(password) for spelled in _spellings(piece)}


def leaks(text: str) -> list[tuple[str, str]]:
    """Each piece that stands in the text, with what is around it."""
    found = ((password, text.find(needle)) for needle, password in NEEDLES.items())
    return [(password, text[max(0, at - 60) : at + 60]) for password, at in found if at >= 0]


@dataclass(frozen=True, slots=True)
class Stage:
    folder: Path
    pg: Postgres
    redis: RedisServer
    fakes: tuple[FakePg, ...]
    unwanted: list[str]

    def targets(self) -> list[dict[str, Any]]:
        """Every password in every error path."""
        found: list[dict[str, Any]] = []
        monitor = {"engine": "postgres", "host": "127.0.0.1", "port": self.pg.port, "user": "monitor"}
        for number, password in enumerate(PASSWORDS):
            quoted = quote(password, safe="")
            away = f"monitor:{quoted}@127.0.0.1:1"
            here = f"monitor:{quoted}@127.0.0.1:{self.pg.port}/postgres"
            cache = f"redis://:{quoted}@127.0.0.1:{self.redis.port}/0"
            file = self.folder / f"file{number}"
            file.write_bytes(password.encode() + b"\n")
            broken = self.folder / f"broken{number}"
            broken.write_bytes(b"\xff" + password.encode())
            tells = self.folder / f"tells{number}"
            tells.write_text(f"#!/bin/sh\ncat {file}; cat {file} >&2; exit {number % 2}\n")
            tells.chmod(0o700)
            paths: dict[str, dict[str, Any]] = {
                "away": {"engine": "postgres", "url": f"postgresql://{away}/shop"},
                "cache-away": {"engine": "redis", "url": f"redis://{away}/0"},
                "wrong": {"engine": "postgres", "url": f"postgresql://{here}"},
                "cache-wrong": {"engine": "redis", "url": cache},
                "cache-user": {"engine": "redis", "url": cache.replace("redis://:", "redis://nobody:")},
                "tls": {"engine": "postgres", "url": f"postgresql://{here}?sslmode=verify-full"},
                "cache-tls": {"engine": "redis", "url": f"rediss://:{quoted}@127.0.0.1:{self.pg.port}/0"},
                "file": {**monitor, "password_file": str(file)},
                "broken-file": {**monitor, "password_file": str(broken)},
                "env": {**monitor, "password_env": f"ODD_{number}"},
                "command": {**monitor, "password_command": [str(tells)]},
                "service": {"engine": "postgres", "url": f"postgresql:///?service=odd{number}"},
                "pgpass": {
                    "engine": "postgres",
                    "url": f"postgresql://{here.partition('@')[2]}?user=odd{number}&passfile={self.folder / 'pgpass'}",
                },
            }
            if number % 6:  # each loads all authorities of the machine
                del paths["cache-tls"]
            if number < len(self.fakes):
                fake = self.fakes[number].port
                paths["told"] = {"engine": "postgres", "url": f"postgresql://monitor:{quoted}@127.0.0.1:{fake}/x"}
            found += [{"name": f"{name}-{number}", **path} for name, path in paths.items()]
        return found

    def config(self, stride: int = 1) -> str:
        """Every target, or every so many: there are a dozen to a password, so that others come each time."""
        defaults = {"profile": "minimal", "connect_timeout": "5s", "checks": {"disable": self.unwanted}}
        return json.dumps({"defaults": defaults, "targets": self.targets()[::stride]}, ensure_ascii=False)

    @property
    def environment(self) -> dict[str, str]:
        odd = {f"ODD_{number}": password for number, password in enumerate(PASSWORDS)}
        return {**odd, "PGSERVICEFILE": str(self.folder / "services")}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("secrets")
    one_line = {number: password for number, password in enumerate(PASSWORDS) if password.isprintable()}
    with ExitStack() as running:
        pg = running.enter_context(Postgres(max(wanted_majors()), settings={"max_connections": "60"}))
        pg.create_monitor_role("monitor", password="an other one")
        pg.hba("host all all 127.0.0.1/32 scram-sha-256")
        redis = running.enter_context(RedisServer("redis-7.0", config={"requirepass": "an-other-one"}))
        told = (f'password "{password}" is wrong for monitor'.encode() for password in PASSWORDS[:12])
        fakes = tuple(running.enter_context(FakePg("28P01", text)) for text in told)
        services = (
            f"[odd{number}]\nhost=127.0.0.1\nport={pg.port}\nuser=monitor\npassword={password}\n"
            for number, password in one_line.items()
        )
        (folder / "services").write_text("\n".join(services))
        entries = (
            f"*:*:*:odd{number}:" + password.replace("\\", "\\\\").replace(":", "\\:")
            for number, password in one_line.items()
        )
        (folder / "pgpass").write_text("\n".join(entries) + "\n")
        (folder / "pgpass").chmod(0o600)
        unwanted = [check.name for check in zero_config([], environ={}).catalogue if check.name not in CHECKS]
        yield Stage(folder, pg, redis, fakes, unwanted)


@pytest.fixture(autouse=True)
def surroundings(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stage.environment.items():
        monkeypatch.setenv(name, value)


def test_row_50_the_search_would_find_a_leak() -> None:
    for password in PASSWORDS:
        assert pieces(password), password
        assert leaks(f"before {password} after")
        assert leaks(json.dumps({"text": password}))
        assert leaks(f"... {sorted(pieces(password))[0]} ...")
    assert not leaks("password authentication failed for user monitor at postgresql://u:***@127.0.0.1:5432/postgres")


@pytest.mark.timeout(200)
def test_row_50_no_report_in_any_format_and_no_log_tells_a_password(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "dbwatch.yaml"
    path.write_text(stage.config())
    config = load_config(path)
    log = tmp_path / "log"
    with log.open("w") as stream:
        logs.configure("debug", "json", stream)
        try:
            result = adhoc.run_once(config, adhoc.Selection(checks=CHECKS), sample_seconds=0)
        finally:
            logs.close()
    assert len(result.views) > 12 * len(PASSWORDS)
    reached = {view.target.name for view in result.views if view.state.up}
    assert reached == set(), "every one was meant to fail"
    reasons = {str(view.state.reason) for view in result.views}
    assert reasons >= {"refused", "auth", "tls"}, reasons
    for output_format in Format:
        text = render(
            output_format,
            result.views,
            started_at_seconds=result.started_at_seconds,
            duration_seconds=result.duration_seconds,
            manner=Manner(rows=True),
        )
        assert len(text) > 100
        assert leaks(text) == [], output_format
    told = log.read_text()
    assert "target down" in told
    assert leaks(told) == []


@pytest.mark.timeout(200)
def test_row_50_neither_the_daemons_pages_nor_its_log_tell_a_password(stage: Stage) -> None:
    with Daemon(("--log-level", "debug"), config_text=stage.config(5), env=stage.environment) as daemon:
        daemon.wait_ready(timeout=120)
        for page in ("/", "/metrics", "/api/v1/status", "/compat/postgres_exporter", "/sd", "/nowhere"):
            text = daemon.get(page, timeout=60).text
            assert leaks(text) == [], page
        # The same passwords in configurations that cannot be used.
        for number, bad in enumerate((with_urls(), with_misplaced_passwords(), f"[{PASSWORDS[1]}"), start=1):
            daemon.write_config(bad if isinstance(bad, str) else json.dumps(bad, ensure_ascii=False))
            daemon.signal(SIGHUP)
            rejected = number
            eventually(
                lambda: sum(event["event"] == "config rejected" for event in daemon.log_events()) == rejected  # noqa: B023
            )
        told = "\n".join([*daemon.log_lines(), daemon.stdout_text()])
        assert leaks(told) == []
        assert "Traceback" not in told


# Written as it is, ${NAME} is a variable, whose name must be told when it is not set.
AS_THEY_ARE = tuple(password for password in PASSWORDS if "${" not in password)


def unreadable_urls() -> list[str]:
    """URLs that people write with a password in them, and that cannot be read."""
    shapes = (
        "postgresql://u:{}@h:99999/db",
        "postgresql://u:{}@[::1/db",
        "postgresql://u:{}@h/db?sslmode=nosuch",
        "redis://:{}@h/cache",
        "mysql://u:{}@h/db",
        "postgres:/u:{}@h/db",
    )
    return [shape.replace("{}", password) for password in AS_THEY_ARE for shape in shapes]


def with_urls() -> dict[str, Any]:
    entries = enumerate(unreadable_urls())
    return {"targets": [{"name": f"url{number}", "engine": "postgres", "url": url} for number, url in entries]}


def with_misplaced_passwords() -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for number, password in enumerate(AS_THEY_ARE):
        place = {"engine": "postgres", "host": "h"}
        found.append({"name": f"key{number}", **place, "password": password})
        found.append({"name": f"list{number}", **place, "password_file": [password]})
        found.append({"name": f"port{number}", **place, "port": password})
    return {"targets": found, "password": PASSWORDS[0]}


@pytest.mark.parametrize("content", [with_urls, with_misplaced_passwords], ids=lambda content: content.__name__)
def test_row_50_no_problem_of_a_configuration_tells_a_password(
    tmp_path: Path, content: Callable[[], dict[str, Any]]
) -> None:
    path = tmp_path / "dbwatch.yaml"
    path.write_text(json.dumps(content(), ensure_ascii=False))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(caught.value.problems) > 3 * len(AS_THEY_ARE) - 1
    assert leaks(str(caught.value)) == []


def test_row_50_no_url_that_cannot_be_read_is_told_back() -> None:
    for url in unreadable_urls()[::5]:
        with pytest.raises(ConfigError) as caught:
            zero_config([url], environ={})
        assert leaks(str(caught.value)) == []


@pytest.mark.parametrize("where", ["connect", "reach"])
def test_row_50_a_crash_of_ours_tells_no_password(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The worst that a bug can say: the password itself, and the connection string, in the message of an exception."""

    def crash(_: object, target: Target, deadline: Deadline) -> object:
        assert target.password is not None
        password = target.password.read().reveal()
        raise RuntimeError(f"a bug met {password} and {password!r} in {quote(password)} ({deadline})")

    config = zero_config([f"postgresql://u:{quote(each, safe='')}@127.0.0.1:1/x" for each in PASSWORDS], environ={})
    cache = zero_config([f"redis://u:{quote(each, safe='')}@127.0.0.1:1/0" for each in PASSWORDS], environ={})
    monkeypatch.setattr(PostgresAdapter, where, crash)
    monkeypatch.setattr(RedisAdapter, where, crash)
    log = tmp_path / "log"
    with log.open("w") as stream:
        logs.configure("debug", "json", stream)
        try:
            results = [
                adhoc.run_once(each, adhoc.Selection(checks=CHECKS), sample_seconds=0) for each in (config, cache)
            ]
        finally:
            logs.close()
    told = log.read_text()
    assert told.count("RuntimeError: a bug met ***") >= len(PASSWORDS)
    assert leaks(told) == []
    for result in results:
        assert leaks(render(Format.JSON, result.views, started_at_seconds=0.0, duration_seconds=0.0)) == []


# -- sources of passwords --------------------------------------------------------------------------

SOURCES = ("file", "env", "command", "pgpass", "service", "url")


@pytest.mark.parametrize("source", SOURCES)
def test_found_a_password_is_changed_while_we_watch(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """A role's password is changed and its source follows. Whatever the source, the next connection is made with it."""
    role, secret = f"rotated_{source}", tmp_path / "secret"
    place = f"127.0.0.1:{stage.pg.port}/postgres"

    def change(password: str) -> None:
        stage.pg.sql(pgsql.SQL("ALTER ROLE {} PASSWORD {}").format(pgsql.Identifier(role), password).as_string())
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        text = {
            "pgpass": f"*:*:*:{role}:{escaped}\n",
            "service": f"[shop]\nhost=127.0.0.1\nport={stage.pg.port}\ndbname=postgres\nuser={role}\n"
            f"password={password}\n",
        }.get(source, f"{password}\n")
        secret.write_text(text)
        secret.chmod(0o600)
        monkeypatch.setenv("ROTATED", password)

    stage.pg.sql(f"CREATE ROLE {role} LOGIN")
    change(first := r"s p@ce/&%:x'\"")
    monkeypatch.setenv("PGSERVICEFILE", str(secret))
    url = {
        "pgpass": f"postgresql://{role}@{place}?passfile={secret}",
        "service": "postgresql:///?service=shop",
        "url": f"postgresql://{role}:{quote(first, safe='')}@{place}",
    }.get(source, f"postgresql://{role}@{place}")
    target = zero_config([url], environ={}).targets[0]
    given = {
        "file": PasswordSource(file=secret),
        "env": PasswordSource(env="ROTATED"),
        "command": PasswordSource(command=("cat", str(secret))),
    }
    target = replace(target, password=given.get(source, target.password))
    adapter = PostgresAdapter()
    adapter.connect(target, Deadline.after(30)).close()
    change("another: one")
    if source == "url":
        with pytest.raises(TargetError, match="password authentication failed"):
            adapter.connect(target, Deadline.after(30))
    else:
        adapter.connect(target, Deadline.after(30)).close()


def test_found_a_wrong_password_for_a_long_time(stage: Stage) -> None:
    """A password stays wrong for half an hour of checks. We try it every 30 s at first, once a minute in the end."""
    now = 0.0
    url = f"postgresql://monitor:wrong@127.0.0.1:{stage.pg.port}/postgres"
    check = load_check(CHECKS_FOLDER / "postgres" / "idle_in_transaction.yaml", Engine.POSTGRES)
    watchdog = Watchdog()
    lane = Lane(zero_config([url], environ={}).targets[0], PostgresAdapter(), [check], Store(), watchdog)
    lane._backoff = Backoff(lambda: now)
    mark = stage.pg.log_mark()
    for second in range(1800):
        now = float(second)
        assert lane.run(check.name).reason is Reason.AUTH
    watchdog.close()
    refused = [line for line in stage.pg.log_lines_since(mark) if "password authentication failed" in line]
    assert 20 <= len(refused) <= 1800 / 24
