"""Owns message and fix templates: `{name}` and `{name:format}`, and how a value is written safely into each.

Refuses to know columns, checks and servers, and refuses everything else `str.format` can do. Values come
from the monitored server and are hostile: a name may hold quotes, newlines or terminal escapes, so plain
text shows control characters, and SQL quoting is done here and nowhere else.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from dbwatch import units

Value: TypeAlias = float | str | bool | None

UNKNOWN: Final = "unknown"

_FIELD: Final = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_PLAIN_IDENT: Final = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
# Reserved, type/function-name and column-name keywords of PostgreSQL 18: quote_ident() quotes all three.
_KEYWORDS: Final = frozenset(
    """
    all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
    current_catalog current_date current_role current_time current_timestamp current_user default deferrable
    desc distinct do else end except false fetch for foreign from grant group having in initially intersect
    into lateral leading limit localtime localtimestamp not null offset on only or order placing primary
    references returning select session_user some symmetric system_user table then to trailing true union
    unique user using variadic when where window with
    authorization binary collation concurrently cross current_schema freeze full ilike inner is isnull join
    left like natural notnull outer overlaps right similar tablesample verbose
    between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping
    inout int integer interval json json_array json_arrayagg json_exists json_object json_objectagg json_query
    json_scalar json_serialize json_table json_value least merge_action national nchar none normalize nullif
    numeric out overlay position precision real row setof smallint substring time timestamp treat trim values
    varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
    xmlserialize xmltable
    """.split()  # noqa: SIM905 - 140 quoted words are not easier to check
)


class Format(StrEnum):
    """How a field is written."""

    IDENT = "ident"
    LITERAL = "literal"
    BYTES = "bytes"
    DURATION = "duration"
    COUNT = "count"
    PERCENT = "percent"
    NUMBER = "number"
    TEXT = "text"


class TemplateError(ValueError):
    """The text is not a template; `field` is the part that is wrong."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Field:
    """One place to fill; without a format, numbers are numbers and text is text."""

    name: str
    format: Format | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template; make one with `Template.parse`."""

    source: str
    parts: tuple[str | Field, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """The template of a text; TemplateError names the field that is wrong."""
        parts = (_part(piece) for piece in _PIECE.finditer(text))
        return cls(text, tuple(parts))

    @property
    def fields(self) -> frozenset[str]:
        """The names the template needs."""
        return frozenset(part.name for part in self.parts if isinstance(part, Field))

    def render(self, values: Mapping[str, Value]) -> str:
        """The filled text, for reading; what is missing reads "unknown". Never raises."""
        filled = self._filled(values)
        return "".join(UNKNOWN if text is None else text for text in filled)

    def render_or_none(self, values: Mapping[str, Value]) -> str | None:
        """The filled text, for running; None when a value is missing or cannot be said in SQL."""
        filled = self._filled(values)
        return None if None in filled else "".join(text for text in filled if text is not None)

    def _filled(self, values: Mapping[str, Value]) -> list[str | None]:
        return [part if isinstance(part, str) else _filled(part, values.get(part.name)) for part in self.parts]


def _part(piece: re.Match[str]) -> str | Field:
    if piece[0] in ("{{", "}}"):
        return piece[0][0]
    if piece[1] is not None:
        return _field(piece[1])
    if piece[0] in ("{", "}"):
        rest = piece.string[piece.start() : piece.start() + 30]
        raise TemplateError(f"a lone {piece[0]!r} at {rest!r}: write {piece[0] * 2} for the character", rest)
    return piece[0]


def _field(inside: str) -> Field:
    name, colon, format_name = inside.partition(":")
    if not _FIELD.fullmatch(name):
        raise TemplateError(f"{{{inside}}}: a field is a column name, nothing more; write {{{{ for a brace", inside)
    if not colon:
        return Field(name)
    if format_name not in set(Format):
        raise TemplateError(f"{{{inside}}}: the formats are {', '.join(Format)}", inside)
    return Field(name, Format(format_name))


def _filled(field: Field, value: Value) -> str | None:
    """The text of one field; None when the value is NULL, NaN or impossible in this format."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    match field.format:
        case Format.IDENT:
            return None if (name := _plain(value)) is None else quoted_ident(name)
        case Format.LITERAL:
            return quoted_literal(value) if isinstance(value, str) else _sql_number(value)
        case None if not isinstance(value, str | bool):
            return units.number_text(value)
        case None | Format.TEXT:
            return None if (text := _plain(value)) is None else visible(text)
        case _ if isinstance(value, str):
            return visible(value)
    return _RENDERERS[field.format](value)


_RENDERERS: Final = {
    Format.BYTES: units.bytes_text,
    Format.DURATION: units.duration_text,
    Format.COUNT: units.count_text,
    Format.PERCENT: units.percent_text,
    Format.NUMBER: units.number_text,
}


def _plain(value: float | str | bool) -> str | None:
    """The value without grouping or rounding (a pid is 12345, not 12,345); None when it cannot be printed."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    try:
        return str(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return None


def _sql_number(value: float | bool) -> str | None:
    if isinstance(value, float) and math.isinf(value):
        return f"'{'-' if value < 0 else ''}Infinity'"
    return _plain(value)


def visible(text: str) -> str:
    """The text on one line: control, format and line-break characters as escapes anyone can see."""
    return "".join(character if _is_plain(character) else _escaped(character) for character in text)


def _is_plain(character: str) -> bool:
    if " " <= character <= "~":
        return True
    # Cc control, Cf format (bidi overrides, zero width), Cs lone surrogates, Zl/Zp line breaks
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _escaped(character: str) -> str:
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(character)
    if named is not None:
        return named
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted_ident(name: str) -> str | None:
    """The name as a PostgreSQL identifier, as quote_ident() has it; None for what no name can be."""
    if _PLAIN_IDENT.fullmatch(name):
        return name if name not in _KEYWORDS else f'"{name}"'
    if not _fits_sql(name) or not name:
        return None
    if all(_is_plain(character) for character in name):
        return '"' + name.replace('"', '""') + '"'
    # The statement is shown on terminals and pasted: U&"" says a control character without holding one.
    return "U&" + _spelt(name, '"', "\\{:04X}", "\\+{:06X}")


def quoted_literal(text: str) -> str | None:
    """The text as a PostgreSQL string, right under any standard_conforming_strings; None when impossible."""
    if not _fits_sql(text):
        return None
    if "\\" not in text and all(_is_plain(character) for character in text):
        return "'" + text.replace("'", "''") + "'"
    return "E" + _spelt(text, "'", "\\u{:04x}", "\\U{:08x}")


def _spelt(text: str, quote: str, short: str, long: str) -> str:
    """The text in quotes: these and backslashes twice, what nobody can see by its number, in `short` if that fits."""

    def spelt(character: str) -> str:
        if character in ("\\", quote):
            return character * 2
        if _is_plain(character):
            return character
        code = ord(character)
        return (short if code < 0x10000 else long).format(code)

    return quote + "".join(spelt(character) for character in text) + quote


def _fits_sql(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
