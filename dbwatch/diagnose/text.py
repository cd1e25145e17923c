"""Owns how replies read on a terminal and in a pipe: the question, then its rows as a table. Knows no server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rich.cells import cell_len, set_cell_size

from dbwatch.diagnose.ask import MOST_ROWS, Reply
from dbwatch.engines.base import Answer

_WIDEST: Final = 60
_INDENT: Final = "  "


def replies_text(replies: Iterable[Reply]) -> Iterator[str]:
    """The lines of all replies. Text from the server is shown without control characters."""
    for reply in replies:
        yield ""
        yield from (f"> {line}" for line in reply.question.text.splitlines())
        if reply.answer is not None:
            yield from _table(reply.answer)
        elif reply.error is not None:
            yield f"{_INDENT}no answer: {_shown(reply.error)}"
        else:
            yield f"{_INDENT}(for you to run: it needs a shell, or a name or number of yours)"


def _table(answer: Answer) -> Iterator[str]:
    if not answer.rows:
        yield f"{_INDENT}no rows"
        return
    rows = [[_shown(value) for value in row] for row in (answer.columns, *answer.rows)]
    widths = [min(_WIDEST, max(cell_len(row[place]) for row in rows)) for place in range(len(answer.columns))]
    for number, row in enumerate(rows):
        cells = (_cut(cell, width) for cell, width in zip(row, widths, strict=True))
        yield f"{_INDENT}{'  '.join(cells)}".rstrip()
        if number == 0 and any(answer.columns):
            yield f"{_INDENT}{'  '.join('-' * width for width in widths)}"
    if answer.truncated:
        yield f"{_INDENT}… and more than {MOST_ROWS} rows"


def _cut(cell: str, width: int) -> str:
    return set_cell_size(cell if cell_len(cell) <= width else f"{set_cell_size(cell, width - 1)}…", width)


def _shown(value: object) -> str:
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)
