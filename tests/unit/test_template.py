"""Messages and fixes: what a template may hold, and that hostile values stay values."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.template import Template, TemplateError, Value, quoted_ident, quoted_literal

VALUES: dict[str, Value] = {
    "schema": "public",
    "index": 'Odd "Name"',
    "size": 38.0 * 2**30,
    "age": 41 * 86400.0,
    "pid": 12345.0,
    "ratio": 0.873,
    "up": True,
    "gone": None,
    "nan": math.nan,
    "text": "O'Reilly \\ co",
    "evil": "a\nb\x1b[31m\u202e",
    "word": "user",
    "empty": "",
}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain, 100 % of it", "plain, 100 % of it"),
        ("{schema}.{index} ({size:bytes})", 'public.Odd "Name" (38 GiB)'),
        ("for {age:duration}", "for 41 days"),
        ("{pid} {pid:text} {pid:count} {pid:number}", "12,345 12345 12,345 12,345"),
        ("{ratio:percent} {ratio}", "87 % 0.873"),
        ("{up} {gone} {gone:bytes} {nan} {absent}", "true unknown unknown unknown unknown"),
        ("{{{schema}}} {{}}", "{public} {}"),
        ("{evil}", r"a\nb\x1b[31m\u202e"),
        ("{evil:bytes}", r"a\nb\x1b[31m\u202e"),
        ("", ""),
        ("<{empty}>", "<>"),
    ],
)
def test_a_message_reads_well(text: str, rendered: str) -> None:
    assert Template.parse(text).render(VALUES) == rendered


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("DROP INDEX {schema:ident}.{index:ident};", 'DROP INDEX public."Odd ""Name""";'),
        ("ALTER ROLE {word:ident};", 'ALTER ROLE "user";'),
        ("SELECT pg_terminate_backend({pid:literal});", "SELECT pg_terminate_backend(12345);"),
        ("SELECT {text:literal}, {word:literal}", r"SELECT E'O''Reilly \\ co', 'user'"),
        ("SELECT {evil:literal}", r"SELECT E'a\u000ab\u001b[31m\u202e'"),
        ("DROP TABLE {evil:ident}", r'DROP TABLE U&"a\000Ab\001B[31m\202E"'),
        ("SELECT {up:literal}", "SELECT true"),
        ("SELECT {gone:literal}", None),
        ("SELECT {nan:literal}", None),
        ("DROP TABLE {absent:ident}", None),
        ("-- {gone}\nVACUUM", None),
    ],
)
def test_a_fix_is_right_or_not_offered(text: str, rendered: str | None) -> None:
    assert Template.parse(text).render_or_none(VALUES) == rendered


@pytest.mark.parametrize("value", ["", "a\0b", "\ud800"])
def test_a_name_that_postgres_cannot_hold_is_not_offered(value: str) -> None:
    template = Template.parse("DROP TABLE {name:ident}")
    assert template.render_or_none({"name": value}) is None
    assert template.render({"name": value}) == "DROP TABLE unknown"


@pytest.mark.parametrize(
    ("text", "message", "field"),
    [
        ("{}", "a field is a column name", ""),
        ("{a.b}", "a field is a column name", "a.b"),
        ("{a[0]}", "a field is a column name", "a[0]"),
        ("{a!r}", "a field is a column name", "a!r"),
        ("{A}", "a field is a column name", "A"),
        ("{0}", "a field is a column name", "0"),
        ("{ a }", "a field is a column name", " a "),
        ("{a:}", "the formats are ident, literal", "a:"),
        ("{a:>10}", "the formats are ident, literal", "a:>10"),
        ("{a:{b}}", "a lone '{'", "{a:{b}}"),
        ("x { y", "a lone '{'", "{ y"),
        ("x } y", "a lone '}'", "} y"),
    ],
)
def test_everything_else_is_refused(text: str, message: str, field: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(message)) as caught:
        Template.parse(text)
    assert caught.value.field == field


def test_the_fields_are_known_before_rendering() -> None:
    assert Template.parse("{a} {b:ident} {a:bytes} {{c}}").fields == {"a", "b"}


ANY_VALUE = st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just(10**5000)
ALL = Template.parse("{a}{a:ident}{a:literal}{a:bytes}{a:duration}{a:count}{a:percent}{a:number}{a:text}{b}{b:text}")


@given(ANY_VALUE, ANY_VALUE)
def test_rendering_never_raises_and_stays_on_one_line(a: Value, b: Value) -> None:
    text = ALL.render({"a": a, "b": b})
    assert len(text.splitlines()) == 1
    assert text.isprintable() or not any(ord(character) < 32 for character in text)
    assert ALL.render_or_none({"a": a, "b": b}) in (None, text)


@given(st.text())
def test_arbitrary_text_is_a_template_or_a_template_error(text: str) -> None:
    try:
        template = Template.parse(text)
    except TemplateError:
        return
    template.render({})


@given(st.text() | st.text(alphabet="\"\\\n'U&+0aA_$"))
def test_a_quoted_name_is_read_back_as_the_name(name: str) -> None:
    quoted = quoted_ident(name)
    if quoted is None:
        assert not name or "\0" in name or re.search("[\ud800-\udfff]", name)
    else:
        assert read_ident(quoted) == name


@given(st.text() | st.text(alphabet="'\\\nEx0u\""))
def test_a_quoted_text_is_read_back_as_the_text(text: str) -> None:
    quoted = quoted_literal(text)
    if quoted is None:
        assert "\0" in text or re.search("[\ud800-\udfff]", text)
    else:
        assert read_literal(quoted) == text


def read_ident(sql: str) -> str:
    """As PostgreSQL's scanner does: bare names fold to lower case, "" is a quote, U& takes escapes."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", sql):
        return sql.lower()
    prefix, body = re.fullmatch(r'(U&)?"((?:[^"]|"")+)"', sql, re.DOTALL).groups()  # type: ignore[union-attr]
    name = body.replace('""', '"')
    if prefix is None:
        return str(name)
    return re.sub(r"\\(?:(\\)|\+([0-9A-F]{6})|([0-9A-F]{4}))", _unescaped, name)


def read_literal(sql: str) -> str:
    """As PostgreSQL's scanner does, with standard_conforming_strings on or off."""
    prefix, body = re.fullmatch(r"(E)?'((?:[^'\\]|''|\\.)*)'", sql, re.DOTALL).groups()  # type: ignore[union-attr]
    text = body.replace("''", "'")
    if prefix is None:
        assert "\\" not in text
        return str(text)
    return re.sub(r"\\(?:(\\)|U([0-9a-f]{8})|u([0-9a-f]{4}))", _unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    return found[1] or chr(int(found[2] or found[3], 16))
