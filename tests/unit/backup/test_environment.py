"""What of our environment a tool gets to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbwatch.engines.backup.tools.environment import Environment, environment_for
from dbwatch.errors import CheckError

OURS = {
    "PATH": "/opt/bin:/bin",
    "HOME": "/var/lib/postgresql",
    "TZ": "Europe/Berlin",
    "LANG": "de_DE.UTF-8",
    "LD_PRELOAD": "/tmp/evil.so",
    "PYTHONPATH": "/tmp",
    "DATABASE_URL": "postgresql://u:hunter2-s3cret@db/x",
    "PGPASSWORD": "hunter2-s3cret",
    "DBWATCH_CONFIG": "/etc/dbwatch.yaml",
    "AWS_SECRET_ACCESS_KEY": "aws-s3cret",
    "AWS_REGION": "eu-1",
    "WALG_S3_PREFIX": "s3://bucket/folder",
    "PGBACKREST_REPO1_CIPHER_PASS": "cipher-s3cret",
}


def hidden(environment: Environment) -> set[str]:
    return {secret.reveal() for secret in environment.secrets}


def test_nobody_gets_our_own_secrets() -> None:
    for prefixes in ((), ("PGBACKREST_",), ("WALG_", "AWS_")):
        given = environment_for(*prefixes, own=OURS).values
        assert not {"DATABASE_URL", "PGPASSWORD", "DBWATCH_CONFIG", "LD_PRELOAD", "PYTHONPATH"} & set(given)


def test_messages_are_english() -> None:
    given = environment_for(own=OURS).values
    assert (given["LC_ALL"], given["LANG"]) == ("C.UTF-8", "C.UTF-8")
    assert (given["PATH"], given["HOME"], given["TZ"]) == ("/opt/bin:/bin", "/var/lib/postgresql", "Europe/Berlin")


def test_a_path_there_always_is() -> None:
    assert "/usr/bin" in environment_for(own={}).values["PATH"]


def test_a_tool_gets_what_is_its_own() -> None:
    environment = environment_for("PGBACKREST_", own=OURS)
    assert "AWS_SECRET_ACCESS_KEY" not in environment.values
    assert environment.values["PGBACKREST_REPO1_CIPHER_PASS"] == "cipher-s3cret"
    assert hidden(environment) == {"cipher-s3cret"}
    assert "cipher-s3cret" not in repr(environment)


def test_a_proxy_may_hold_a_password() -> None:
    ours = {"https_proxy": "http://me:proxy-s3cret@proxy:3128"}
    assert hidden(environment_for(own=ours)) == {"http://me:proxy-s3cret@proxy:3128"}


def test_what_is_no_secret_is_not_hidden() -> None:
    """Else every message about the tool would be made of stars."""
    assert hidden(environment_for("WALG_", own=OURS)) == set()


def test_a_file_adds_to_it(tmp_path: Path) -> None:
    file = tmp_path / "walg.env"
    file.write_text(
        "# a comment\n\nexport AWS_ACCESS_KEY_ID=AKIA-s3cret\nAWS_SECRET_ACCESS_KEY='quoted s3cret'\n"
        'WALG_S3_PREFIX="s3://bucket/x"\nnot a line\n9X=1\nEMPTY=\n'
    )
    environment = environment_for("WALG_", file=file, own=OURS)
    assert environment.values["AWS_ACCESS_KEY_ID"] == "AKIA-s3cret"
    assert environment.values["AWS_SECRET_ACCESS_KEY"] == "quoted s3cret"
    assert environment.values["WALG_S3_PREFIX"] == "s3://bucket/x"
    assert environment.values["EMPTY"] == ""
    assert hidden(environment) == {"AKIA-s3cret", "quoted s3cret"}


def test_a_file_cannot_move_the_path(tmp_path: Path) -> None:
    file = tmp_path / "walg.env"
    file.write_text("PATH=/tmp/evil\nLC_ALL=de_DE\n")
    given = environment_for(file=file, own=OURS).values
    assert (given["PATH"], given["LC_ALL"]) == ("/opt/bin:/bin", "C.UTF-8")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"walg.env cannot be read: No such file or directory"):
        environment_for(file=tmp_path / "walg.env", own=OURS)
