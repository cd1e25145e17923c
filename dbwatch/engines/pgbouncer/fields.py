"""Owns turning the rows of a SHOW into the rows a check declared by column name. Pure."""

from __future__ import annotations

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import FieldSpec, Use
from dbwatch.config import Target
from dbwatch.config.url import CONSOLE
from dbwatch.engines.pgbouncer.console import Cells, Shown, number
from dbwatch.errors import CheckError
from dbwatch.model import RawRow, Reason, Value

_OF_DATABASE = {"SHOW DATABASES": "name"}


def rows_of(check: Check, shown: Shown, target: Target) -> tuple[RawRow, ...]:
    """A row for each of the answer. Raises Skipped(version) for a column that this PgBouncer does not have.

    Of more than the check takes, the largest by its numbers in their order: nobody sorts the answers of the console.
    """
    shown.having(*(wanted.field for wanted in check.fields.values() if wanted.default is None))
    rows = watched(shown, target)
    found = [{name: _value(check, name, wanted, row) for name, wanted in check.fields.items()} for row in rows]
    return tuple(sorted(found, key=_size, reverse=True) if len(found) > check.limit else found)


def _size(row: RawRow) -> tuple[float, ...]:
    return tuple(value for value in row.values() if isinstance(value, int | float))


def watched(shown: Shown, target: Target) -> tuple[Cells, ...]:
    """Without the rows about the console itself, and about databases that the configuration leaves out."""
    column = _OF_DATABASE.get(shown.command, "database")
    if column not in shown.columns:
        return shown.rows
    return tuple(row for row in shown.rows if is_watched(str(row[column]), target))


def is_watched(database: str, target: Target) -> bool:
    return database != CONSOLE and target.watches_database(database)


def _value(check: Check, name: str, wanted: FieldSpec, row: Cells) -> Value:
    column = check.columns[name]
    cell = row.get(wanted.field)
    if column.use is Use.LABEL or column.type == "text":
        return None if cell is None else str(cell)
    if cell is None:
        return wanted.default
    if wanted.equals is not None:
        return float(str(cell) == wanted.equals)
    value = number(row, wanted.field)
    if value is None:
        message = f"{check.name}: the column {wanted.field} is {str(cell)[:40]!r}, not a number"
        raise CheckError(Reason.BAD_RESULT, message, step="result")
    return value if wanted.scale is None else value * wanted.scale
