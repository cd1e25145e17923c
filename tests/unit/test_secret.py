"""A secret gets out by `reveal()` and by nothing else; a scrubbed text holds neither it nor a piece of it."""

from __future__ import annotations

import copy
import json
import pickle
import re
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.config import PasswordSource
from dbwatch.secret import Secret, scrub

PLAIN = "s3cr3t-Pa55"
ODD = [
    "hunter2hunter2",
    "with space inside",
    "at@sign.here",
    "slash/and?query#hash",
    "colon:semi;comma,value",
    "percent%41encoded%",
    "quote'single\"double",
    "back\\slash\\\\twice",
    "ünïcödé–dash",
    "emoji🔑key🔒",
    "tab\tand\nnewline",
    "a+b=c&d=eeee",
    "[bracketed]pw{curly}",
    "$(shell) `tick` ${ENV}",
    "***stars***",
    "postgres://nested:url@host/db",
    "x" * 500,
]


@dataclass(frozen=True, slots=True)
class Holder:
    name: str
    secret: Secret


@pytest.mark.parametrize(
    "shown",
    [
        repr(Secret(PLAIN)),
        str(Secret(PLAIN)),
        f"{Secret(PLAIN)} {Secret(PLAIN)!r} {Secret(PLAIN)!a} {Secret(PLAIN):>20}",
        "%s %r" % (Secret(PLAIN), Secret(PLAIN)),  # noqa: UP031 - the old way must not leak either
        repr([Secret(PLAIN), {"k": Secret(PLAIN)}]),
        repr(Holder("x", Secret(PLAIN))),
        repr(PasswordSource(literal=Secret(PLAIN))),
        json.dumps({"k": Secret(PLAIN)}, default=str),
    ],
)
def test_printing_shows_no_secret(shown: str) -> None:
    assert PLAIN not in shown
    assert "***" in shown


def test_reveal_gives_the_text() -> None:
    assert Secret(PLAIN).reveal() == PLAIN


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_neither_pickled_nor_copied(leak: object) -> None:
    assert callable(leak)
    with pytest.raises(TypeError, match="not pickled") as caught:
        leak(Secret(PLAIN))
    assert PLAIN not in str(caught.value)


def test_it_has_no_dict_and_no_json() -> None:
    assert not hasattr(Secret(PLAIN), "__dict__")
    with pytest.raises(TypeError):
        json.dumps(Secret(PLAIN))


def test_secrets_compare_by_text_and_with_nothing_else() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a")
    assert not Secret("")


@pytest.mark.parametrize("plain", ODD)
@pytest.mark.parametrize(
    "encode",
    [
        str,
        lambda text: quote(text, safe=""),
        lambda text: re.sub("%..", lambda match: match[0].lower(), quote(text, safe="")),
        quote,
        quote_plus,
        repr,
        ascii,
        json.dumps,
        lambda text: text.replace("\\", "\\\\").replace("'", "\\'"),
    ],
    ids=["as it is", "percent", "lower percent", "percent but /", "plus", "repr", "ascii", "json", "conninfo"],
)
def test_a_known_secret_is_scrubbed_however_it_is_written(plain: str, encode: object) -> None:
    assert callable(encode)
    written = encode(plain).strip("'\"") if encode in (repr, ascii, json.dumps) else encode(plain)
    scrubbed = scrub(f"error: >{written}< refused", Secret(plain))
    assert scrubbed == "error: >***< refused"


@pytest.mark.parametrize("plain", ODD[2:8])
def test_what_a_parser_cut_off_is_scrubbed(plain: str) -> None:
    """libpq says `could not translate host name "sign.here@db"` for a password with a raw @."""
    for mark in "@/?#:;,%'\"\\ ":
        for fragment in plain.split(mark):
            if len(fragment) > 3:
                assert fragment not in scrub(f'invalid "{fragment}" in the connection string', Secret(plain))


def test_several_secrets_and_none_are_scrubbed_together() -> None:
    assert scrub("a=first1 b=second2", Secret("first1"), None, Secret("second2")) == "a=*** b=***"
    assert scrub("nothing", None, Secret("")) == "nothing"


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("cannot reach postgresql://u:pw@h:5432/db", "cannot reach postgresql://u:***@h:5432/db"),
        ("redis://:pw@h/0 refused", "redis://:***@h/0 refused"),
        ("postgres://u:p@ss/w?rd#1@h/db", "postgres://u:***@h/db"),
        ("rediss://u:a%40b@h", "rediss://u:***@h"),
        ("'postgresql+psycopg://u:pw@h/db'", "'postgresql+psycopg://u:***@h/db'"),
        ("host=h password=pw user=u", "host=h password=*** user=u"),
        ("host=h password = 'p w\\'x' user=u", "host=h password = *** user=u"),
        ("password='cut off in the middl", "password=***"),
        ('password="p w" next', "password=*** next"),
        ("PGPASSWORD=pw psql", "PGPASSWORD=*** psql"),
        ("sslpassword=pw x", "sslpassword=*** x"),
        ("{'password': 'p w', 'user': 'u'}", "{'password': ***, 'user': 'u'}"),
        ('{"password": "p\\"w"}', '{"password": ***}'),
    ],
)
def test_an_unknown_password_is_scrubbed_where_its_place_gives_it_away(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "the password file /run/secrets/x cannot be read: No such file or directory",
        "password authentication failed for user u",
        "redis://cache:6379/0 refused",
        "http://127.0.0.1:10187/metrics",
        "SELECT pg_drop_replication_slot('a');",
    ],
)
def test_texts_without_a_secret_stay_as_they_are(text: str) -> None:
    assert scrub(text) == text


@given(st.text(min_size=4, max_size=40), st.text(max_size=60), st.text(max_size=60))
def test_no_text_keeps_the_secret(plain: str, before: str, after: str) -> None:
    scrubbed = scrub(before + plain + after, Secret(plain))
    assert plain not in scrubbed or plain in "***" * 20


@given(st.text(max_size=2000))
def test_scrubbing_takes_any_text(text: str) -> None:
    assert isinstance(scrub(text, Secret("x'y")), str)


def test_scrubbing_a_long_hostile_text_ends() -> None:
    for piece in ("password=", "a://b:", "'", "password='\\", "x://" * 3, "@"):
        assert isinstance(scrub(piece * 50_000), str)
