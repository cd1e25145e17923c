"""Owns asking the console: SHOW by name, its answers by column name, its refusals as our reasons.

The console takes the simple protocol and no parameters, and answers in text. Columns come and go with nearly every
release: unknown ones are kept aside, renamed ones get their newer name. Refuses to send anything but a listed SHOW.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import psycopg

from dbwatch.catalogue.shows import SHOWS, only_shows
from dbwatch.deadline import Deadline
from dbwatch.engines.libpq.errors import clean, lost_reason
from dbwatch.errors import CheckError, ConnectionLost, Skipped
from dbwatch.model import Reason

Cells: TypeAlias = Mapping[str, object]
Connection: TypeAlias = psycopg.Connection[tuple[object, ...]]

_RENAMED: Final[Mapping[str, Mapping[str, str]]] = {"SHOW DATABASES": {"reserve_pool": "reserve_pool_size"}}
"""Old names of columns, by command: 1.24 renamed this one."""
_NO_SUCH: Final = ("invalid command", "unsupported command")
_NO_RIGHT: Final = "admin access needed"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one SHOW answered."""

    command: str
    columns: tuple[str, ...]
    rows: tuple[Cells, ...]

    def having(self, *columns: str) -> Shown:
        """Itself. Raises Skipped(version) when this PgBouncer's answer lacks one of the columns."""
        lacking = [name for name in columns if name not in self.columns]
        if lacking:
            message = f"{self.command} of this PgBouncer has no column {', '.join(lacking)}"
            raise Skipped(Reason.VERSION, message, step=self.command)
        return self


class Console:
    """Asks over one connection, of one thread. `seconds` is what the answers took since `begin`."""

    def __init__(self, connection: Connection, on_step: Callable[[str], None]) -> None:
        self._connection = connection
        self._on_step = on_step
        self._deadline = Deadline(0.0)
        self.seconds = 0.0

    def begin(self, deadline: Deadline) -> None:
        """A run starts, to be over by `deadline`."""
        self._deadline = deadline
        self.seconds = 0.0

    def show(self, command: str) -> Shown:
        """Send one SHOW. Raises Skipped where this PgBouncer or this user does not have it, else CheckError."""
        if not only_shows(command):
            message = f"dbwatch does not send {command} to PgBouncer; it sends {', '.join(sorted(SHOWS))}"
            raise CheckError(Reason.ERROR, message, step="command")
        self._on_step(command)
        if self._deadline.passed:
            raise CheckError(Reason.TIMEOUT, f"the time limit passed before {command}", step=command)
        started = time.monotonic()
        try:
            with psycopg.ClientCursor(self._connection) as cursor:
                cursor.execute(command.encode())
                names = tuple(column.name for column in cursor.description or ())
                rows = cursor.fetchall()
        except psycopg.Error as error:
            raise self._translated(error, command) from error
        finally:
            self.seconds += time.monotonic() - started
        return shown(command, names, rows)

    def _translated(self, error: psycopg.Error, command: str) -> CheckError:
        """Every refusal of the console is a 08P01, which elsewhere says that the connection is gone."""
        text = clean(error.diag.message_primary or str(error))
        if self._deadline.passed and (self._connection.closed or self._connection.broken):
            message = f"no answer to {command} in time; the connection was shut"
            return ConnectionLost(Reason.TIMEOUT, message, step=command)
        if self._connection.closed or self._connection.broken:
            reason = lost_reason(text) or Reason.CONNECTION_LOST
            return ConnectionLost(reason, f"the connection was lost: {text}", step=command)
        if any(words in text for words in _NO_SUCH):
            return Skipped(Reason.VERSION, f"this PgBouncer has no {command}", step=command)
        if _NO_RIGHT in text:
            return Skipped(Reason.PRIVILEGE, f"{command} is for admin_users only", step=command)
        return CheckError(Reason.ERROR, f"{command} was refused: {text}", step=command)


def shown(command: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> Shown:
    """An answer as it came, its columns under their newer names."""
    renamed = _RENAMED.get(command, {})
    columns = tuple(renamed.get(name, name) for name in names)
    return Shown(command, columns, tuple(dict(zip(columns, row, strict=True)) for row in rows))


def number(cells: Cells, name: str) -> float | None:
    """A cell as a number; None when it is missing, empty or none."""
    value = cells.get(name)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(str(value))
    except ValueError:
        return None


def count(cells: Cells, name: str) -> float:
    """A cell that every supported version has, as a number. Raises CheckError(bad_result) when it is none."""
    value = number(cells, name)
    if value is None:
        raise CheckError(Reason.BAD_RESULT, f"the column {name} is {cells.get(name)!r}, not a number", step="result")
    return value


def limit(cells: Cells, name: str) -> float | None:
    """A limit: None when there is none, which PgBouncer says by 0."""
    return number(cells, name) or None


def text(cells: Cells, name: str) -> str:
    value = cells.get(name)
    return "" if value is None else str(value)
