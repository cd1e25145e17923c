"""Without any file, URLs or two environment variables name the targets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.config import PasswordSource, zero_config
from dbwatch.config.url import UrlError, parse_url
from dbwatch.errors import ConfigError, TargetError
from dbwatch.model import Engine, Reason
from dbwatch.secret import Secret

SECRET = "hunter2hunter2"


def test_urls_name_targets_by_their_kind() -> None:
    config = zero_config(
        ["postgresql://u:p@a/x", "redis://b", "postgres://c:5433", "rediss://d", "postgresql+psycopg://e"]
    )
    assert [(t.name, t.engine, t.address, t.tls) for t in config.targets] == [
        ("postgres", Engine.POSTGRES, "a:5432", False),
        ("redis", Engine.REDIS, "b:6379", False),
        ("postgres-2", Engine.POSTGRES, "c:5433", False),
        ("redis-2", Engine.REDIS, "d:6379", True),
        ("postgres-3", Engine.POSTGRES, "e:5432", False),
    ]
    assert config.source == "command line"
    assert config.catalogue.names


def test_the_environment_names_postgres_and_redis(tmp_path: Path) -> None:
    (tmp_path / "redis").write_text(f"redis://:{SECRET}@cache/3\n")
    config = zero_config(environ={"DATABASE_URL": "postgres://u@db/x", "REDIS_URL_FILE": str(tmp_path / "redis")})
    postgres, redis = config.targets
    assert (postgres.name, postgres.address, postgres.user, postgres.database) == ("postgres", "db:5432", "u", "x")
    assert (redis.name, redis.address, redis.database) == ("redis", "cache:6379", "3")
    assert redis.password is not None
    assert redis.password.read() == Secret(SECRET)
    assert config.source == "environment"


def test_urls_beat_the_environment_and_the_variable_beats_its_file() -> None:
    environ = {"DATABASE_URL": "postgres://env", "DATABASE_URL_FILE": "/nowhere"}
    assert [t.host for t in zero_config(["redis://arg"], environ=environ).targets] == ["arg"]
    assert [t.host for t in zero_config(environ=environ).targets] == ["env"]


def test_nothing_named_is_no_target() -> None:
    assert zero_config(environ={}).targets == ()
    assert zero_config(environ={"DATABASE_URL": "", "REDIS_URL_FILE": ""}).targets == ()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"DATABASE_URL": "redis://h"},
            "DATABASE_URL: is not a PostgreSQL URL (DATABASE_URL names a PostgreSQL server)",
        ),
        ({"REDIS_URL": "postgres://h"}, "REDIS_URL: is not a Redis URL (REDIS_URL names a Redis server)"),
        ({"DATABASE_URL_FILE": "/nowhere"}, "DATABASE_URL_FILE: /nowhere cannot be read: No such file or directory"),
        ({"REDIS_URL_FILE": "/dev/zero"}, "REDIS_URL_FILE: /dev/zero is larger than 64 KiB"),
    ],
)
def test_a_wrong_environment_is_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        zero_config(environ=environ)
    assert str(caught.value) == message


def test_a_wrong_argument_is_named_by_its_place_and_not_echoed() -> None:
    with pytest.raises(ConfigError) as caught:
        zero_config(["redis://ok", f"mysql://u:{SECRET}@h"])
    assert str(caught.value).startswith(
        "argument 2: mysql:// is not a kind of URL dbwatch knows; it knows postgresql://, "
    )
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "host", "port", "database", "user", "password"),
    [
        ("postgresql://h", "h", 5432, "", "", None),
        ("postgresql://u@h:1/d", "h", 1, "d", "u", None),
        ("postgresql://u:@h/d", "h", 5432, "d", "u", ""),
        ("postgresql://u%40x:p%3A%2F%40%25@h/d%20e", "h", 5432, "d e", "u@x", "p:/@%"),
        ("postgresql://u:a@b:c@h/d", "h", 5432, "d", "u", "a@b:c"),
        ("redis://u:p@h", "h", 6379, "", "u", "p"),
        ("postgresql:///d?host=/run/pg&port=5433&user=u&password=p", "/run/pg", 5433, "d", "u", "p"),
        ("postgresql://%2Frun%2Fpg/d", "/run/pg", None, "d", "", None),
        ("postgresql://a,b/d", "a,b", 5432, "d", "", None),
        ("postgresql://a:1,b:1/d", "a,b", 1, "d", "", None),
        ("postgresql://[::1]:5/d", "::1", 5, "d", "", None),
        ("postgresql://[fe80::1]/", "fe80::1", 5432, "", "", None),
        ("redis://:p@h/5", "h", 6379, "5", "", "p"),
        ("unix:///run/redis.sock?db=2", "/run/redis.sock", None, "2", "", None),
        ("unix://u:p@/run/redis.sock", "/run/redis.sock", None, "0", "u", "p"),
        ("  redis://h  \n", "h", 6379, "", "", None),
        ("POSTGRES://h", "h", 5432, "", "", None),
    ],
)
def test_a_url_reads_into_its_parts(
    text: str, host: str, port: int | None, database: str, user: str, password: str | None
) -> None:
    url = parse_url(text)
    assert (url.host, url.port, url.database, url.user) == (host, port, database, user)
    assert (url.password.reveal() if url.password is not None else None) == password


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "//h",
        "postgresql:h",
        "http://h",
        "redis+postgres://h",
        "redis://h:0",
        "redis://h:99999",
        "redis://h:x",
        "postgresql://h?sslmode=verify_full",
    ],
)
def test_what_is_not_a_url_of_ours_is_refused(text: str) -> None:
    with pytest.raises(UrlError):
        parse_url(text)


@given(
    st.sampled_from(["postgresql://", "redis://", "unix://", "http://", ""]),
    st.text(max_size=20),
    st.sampled_from(["@h/0", "@h:1", "@", "/", "", "@[::1]?a=b", "@h#x"]),
)
def test_any_text_is_a_url_or_an_error_that_does_not_quote_it(scheme: str, middle: str, end: str) -> None:
    try:
        url = parse_url(f"{scheme}user:{SECRET}{middle}{end}")
    except UrlError as error:
        said = str(error)
    else:
        said = repr(url.password) + repr(url.options) if url.password is not None else ""
    assert SECRET not in said


def test_a_password_is_read_anew_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pw"
    path.write_text("first\n")
    source = PasswordSource(file=path)
    assert source.read().reveal() == "first"
    path.write_text("second\r\n")
    assert source.read().reveal() == "second"
    path.chmod(0o600)
    assert not source.readable_by_others()
    path.chmod(0o644)
    assert source.readable_by_others()
    monkeypatch.setenv("DBWATCH_TEST_PW", SECRET)
    assert PasswordSource(env="DBWATCH_TEST_PW").read().reveal() == SECRET
    assert PasswordSource(command=("printf", "%s\\n", SECRET)).read().reveal() == SECRET


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ({"file": Path("/nowhere")}, "the password file /nowhere cannot be read: No such file or directory"),
        ({"env": "DBWATCH_NOT_SET"}, "the environment variable DBWATCH_NOT_SET is not set"),
        ({"command": ("sh", "-c", f"echo {SECRET} >&2; exit 3")}, "the password command sh exited with 3"),
        (
            {"command": ("/nowhere/pass",)},
            "the password command /nowhere/pass cannot be run: No such file or directory",
        ),
    ],
)
def test_a_password_that_cannot_be_had_is_an_auth_error_without_it(source: dict[str, object], part: str) -> None:
    made = PasswordSource(**source)  # type: ignore[arg-type] # one keyword of several types
    with pytest.raises(TargetError) as caught:
        made.read()
    assert caught.value.reason is Reason.AUTH
    assert str(caught.value) == part
    assert SECRET not in str(caught.value)
