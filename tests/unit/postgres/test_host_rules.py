"""Which lines of a pg_hba.conf let other hosts in without proof, and which of them are ever reached."""

from __future__ import annotations

import pytest

from dbwatch.engines.postgres.host_rules import HostRule, broken, weak

ZERO = "0.0.0.0"


def _rule(text: str, line: int = 1, *, certificate: bool = False, error: str | None = None) -> HostRule:
    """`host db role address[/mask] method`, or `local db role method`; lists with commas."""
    words = text.split()
    kind, databases, roles, method = words[0], words[1].split(","), words[2].split(","), words[-1]
    address, _, mask = words[3].partition("/") if kind != "local" else ("", "", "")
    return HostRule(
        line=line,
        kind=kind,
        databases=tuple(databases),
        roles=tuple(roles),
        address=address or None,
        netmask=mask or None,
        method=method,
        wants_certificate=certificate,
        error=error,
    )


def _weak(*lines: str) -> list[tuple[str, str, str, str]]:
    rules = [_rule(text, number) for number, text in enumerate(lines, 1)]
    return [(found.database, found.role, found.method, found.addresses) for found in weak(rules)]


@pytest.mark.parametrize(
    "line",
    [
        f"host all all {ZERO}/{ZERO} trust",
        "host all all all trust",
        "host all all samenet trust",
        "host all all 10.0.0.1/255.255.255.255 trust",
        "host all all db.example.com trust",
        "host all all 127.0.0.0/254.0.0.0 trust",
        "hostssl all all all trust",
        "hostnossl all all all password",
        "host all all all password",
        "host all all all ldap",
        "hostnogssenc all all all pam",
        "hostssl all all all ident",
        "host replication all fe80::/ffff:: trust",
    ],
)
def test_weak_for_other_hosts(line: str) -> None:
    assert len(_weak(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "local all all trust",
        "host all all 127.0.0.1/255.255.255.255 trust",
        "host all all 127.0.0.0/255.0.0.0 trust",
        "host all all ::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff trust",
        "host all all localhost trust",
        "host all all samehost trust",
        "host all all all scram-sha-256",
        "host all all all md5",
        "host all all all cert",
        "host all all all reject",
        "host all all all gss",
        "hostssl all all all password",
        "hostgssenc all all all ldap",
        "local all all password",
    ],
)
def test_not_weak(line: str) -> None:
    assert _weak(line) == []


def test_a_verified_certificate_is_proof() -> None:
    assert not weak([_rule("hostssl all all all trust", certificate=True)])
    assert weak([_rule("host all all all trust", certificate=True)])


@pytest.mark.parametrize(
    ("earlier", "reached"),
    [
        ("host all all all reject", False),
        ("host all all 10.0.0.0/255.0.0.0 scram-sha-256", False),
        ("host shop app,web 10.1.0.0/255.255.0.0 scram-sha-256", False),
        ("host all all 10.1.2.0/255.255.255.0 reject", True),
        ("host all other 10.0.0.0/255.0.0.0 reject", True),
        ("host crm all 10.0.0.0/255.0.0.0 reject", True),
        ("hostssl all all 10.0.0.0/255.0.0.0 reject", True),
        ("host all all fd00::/ff00:: reject", True),
        ("local all all reject", True),
    ],
)
def test_a_line_that_an_earlier_one_covers_is_never_reached(earlier: str, reached: bool) -> None:
    assert bool(_weak(earlier, "host shop app 10.1.0.0/255.255.0.0 trust")) is reached


def test_all_databases_are_not_replication() -> None:
    assert _weak("host all all all reject", "host replication all all trust")
    assert not _weak("host replication all all reject", "host replication all all trust")


def test_a_later_line_does_not_help() -> None:
    assert _weak("host all all all trust", "host all all all reject")


def test_lines_of_a_kind_are_told_together() -> None:
    found = weak(
        [
            _rule(f"host all all {ZERO}/{ZERO} trust", 7),
            _rule("host all all ::/:: trust", 8),
            _rule("host all app 10.0.0.0/255.0.0.0 password", 3),
        ]
    )
    assert [(rule.rules, rule.line, rule.addresses) for rule in found] == [(2, 7, "every address")]


def test_many_addresses_are_shortened() -> None:
    lines = [f"host all all 10.0.{n}.0/255.255.255.0 trust" for n in range(5)]
    assert _weak(*lines) == [("all", "all", "trust", "10.0.0.0/24, 10.0.1.0/24, 10.0.2.0/24 and 2 more")]


def test_lines_that_cannot_be_read_are_broken_and_nothing_else() -> None:
    bad = HostRule(4, "", (), (), None, None, "", error="invalid")
    idle = _rule("hostssl all all all trust", 5, error="hostssl record cannot match because SSL is disabled")
    good = _rule("local all all trust", 1)
    assert not weak([bad, good])
    assert [rule.line for rule in broken([bad, idle, good])] == [4]
    assert _weak("host all all all reject") == []


def test_names_are_written_as_the_file_needs_them() -> None:
    rule = HostRule(3, "host", ("a b", "shop"), ('+we"ird', "all"), "samenet", None, "trust", file="more.conf")
    (found,) = weak([rule])
    assert found.remedy == (
        '-- line 3 of more.conf should say: hostssl "a b",shop +"we""ird",all samenet scram-sha-256'
    )
