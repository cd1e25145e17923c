"""The report: what one pass found, said as text, JSON, Prometheus or Nagios lines, and as an exit code.

Nothing is imported before it is used: `dbwatch --help` needs only the names of the formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dbwatch.report.format import Format
from dbwatch.report.verdict import exit_code, overall

if TYPE_CHECKING:
    from dbwatch.store import TargetView

__all__ = ["Format", "exit_code", "overall", "render"]


def render(
    output_format: Format,
    views: Sequence[TargetView],
    *,
    started_at_seconds: float,
    duration_seconds: float,
    rows: bool = False,
    color: bool | None = None,
    width: int | None = None,
) -> str:
    """The whole report, ending in a newline. `color` and `width` are the text report's (see `render_text`)."""
    match output_format:
        case Format.TEXT:
            from dbwatch.report.text import render_text

            return render_text(views, duration_seconds=duration_seconds, color=color, width=width, rows=rows)
        case Format.JSON:
            from dbwatch.report.document import document, document_text

            return document_text(
                document(views, started_at_seconds=started_at_seconds, duration_seconds=duration_seconds, rows=rows)
            )
        case Format.PROMETHEUS:
            from dbwatch.exposition import render_outcomes

            return render_outcomes(views)
        case Format.NAGIOS:
            from dbwatch.report.nagios import render_nagios

            return render_nagios(views, duration_seconds=duration_seconds)
