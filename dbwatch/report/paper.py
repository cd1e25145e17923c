"""Owns putting styled lines on a terminal or into a file: colour or none, wrapped or not. Knows no check.

Prose wraps at the terminal's edge with a hanging indent. What a person pastes never wraps here: a terminal breaks a
long line on the screen only, and copies it whole.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from dbwatch.model import Status
from dbwatch.template import visible

STYLES = {
    Status.CRITICAL: "bold red",
    Status.WARNING: "bold yellow",
    Status.UNKNOWN: "bold magenta",
    Status.OK: "green",
    Status.SKIPPED: "dim",
}
_NARROWEST = 40


class Paper:
    """Lines written one after another; `content` is all of them."""

    def __init__(self, *, color: bool | None = None, width: int | None = None) -> None:
        """`color` None: as stdout and NO_COLOR say. `width` None: the terminal's, endless when piped; 0: endless."""
        terminal = sys.stdout.isatty()
        if color is None:
            color = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        if width is None and terminal:
            width = shutil.get_terminal_size().columns
        self.width = max(width, _NARROWEST) if width else None
        self._stream = io.StringIO()
        self._console = Console(
            file=self._stream,
            force_terminal=color,
            no_color=not color,
            color_system="standard" if color else None,
            width=self.width or 1000,
            markup=False,
            highlight=False,
            emoji=False,
            legacy_windows=False,
            _environ={},
        )

    @property
    def content(self) -> str:
        return self._stream.getvalue()

    def blank(self) -> None:
        self._stream.write("\n")

    def line(self, *parts: Text) -> None:
        """One line, as long as it takes."""
        text = Text("").join(parts)
        text.rstrip()
        self._console.print(text, soft_wrap=True)

    def prose(self, lead: Text, text: Text) -> None:
        """`text` after `lead`; further lines start under the text, or at a small indent where that is too narrow."""
        if self.width is None:
            self.line(lead, text)
            return
        indent = cell_len(lead.plain)
        if cell_len(text.plain) <= self.width - indent:
            self.line(lead, text)
            return
        if self.width - indent < _NARROWEST:
            self.line(lead)
            indent = min(4, indent)
            lead = plain(" " * indent)
        for number, piece in enumerate(text.wrap(self._console, self.width - indent)):
            piece.rstrip()
            self.line(lead if number == 0 else plain(" " * indent), piece)

    def fits(self, cells: int) -> bool:
        return self.width is None or cells <= self.width


def plain(text: str, style: str = "") -> Text:
    """The text with control characters made visible: names and errors come from the monitored server."""
    return Text(visible(text), style=style)


def aligned(rows: Sequence[Sequence[Text]], right: frozenset[int] = frozenset(), gap: int = 3) -> list[Text]:
    """The rows as lines with their cells under each other; `right` are the columns aligned to the right."""
    count = max((len(row) for row in rows), default=0)
    widths = [max((cell_len(row[i].plain) for row in rows if i < len(row)), default=0) for i in range(count)]
    lines = []
    for row in rows:
        line = Text()
        for position, cell in enumerate(row):
            padding = " " * (widths[position] - cell_len(cell.plain))
            line.append(padding if position in right else "")
            line.append_text(cell)
            line.append("" if position in right else padding)
            line.append(" " * gap if position + 1 < len(row) else "")
        line.rstrip()
        lines.append(line)
    return lines
