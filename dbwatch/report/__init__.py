"""The report: what one pass found, said in one of the formats, and as an exit code.

Nothing is imported before it is used: `dbwatch --help` needs only the names of the formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbwatch.model import Status
from dbwatch.report.format import Format
from dbwatch.report.verdict import exit_code, overall

if TYPE_CHECKING:
    from dbwatch.report.comparison import Comparison
    from dbwatch.store import TargetView

__all__ = ["Format", "Manner", "exit_code", "overall", "render"]


@dataclass(frozen=True, slots=True)
class Manner:
    """How to report. `color` and `width` are the text report's, `place` is the configuration's path for SARIF.

    `only_new`: what the baseline has already is told, but does not fail.
    """

    rows: bool = False
    color: bool | None = None
    width: int | None = None
    fail_on: Status = Status.WARNING
    comparison: Comparison | None = None
    only_new: bool = False
    place: str | None = None


_PLAIN = Manner()


def render(
    output_format: Format,
    views: Sequence[TargetView],
    *,
    started_at_seconds: float,
    duration_seconds: float,
    manner: Manner = _PLAIN,
) -> str:
    """The whole report, ending in a newline."""
    match output_format:
        case Format.TEXT:
            from dbwatch.report.text import render_text

            return render_text(
                views,
                duration_seconds=duration_seconds,
                color=manner.color,
                width=manner.width,
                rows=manner.rows,
                comparison=manner.comparison,
            )
        case Format.JSON:
            from dbwatch.report.document import document, document_text

            return document_text(
                document(
                    views,
                    started_at_seconds=started_at_seconds,
                    duration_seconds=duration_seconds,
                    rows=manner.rows,
                    comparison=manner.comparison,
                )
            )
        case Format.PROMETHEUS:
            from dbwatch.exposition import render_outcomes

            return render_outcomes(views)
        case Format.NAGIOS:
            from dbwatch.report.nagios import render_nagios

            return render_nagios(views, duration_seconds=duration_seconds)
        case Format.JUNIT:
            from dbwatch.report.junit import render_junit

            return render_junit(
                views,
                started_at_seconds=started_at_seconds,
                duration_seconds=duration_seconds,
                fail_on=manner.fail_on,
                comparison=manner.comparison,
                only_new=manner.only_new,
            )
        case Format.SARIF:
            from dbwatch.report.sarif import render_sarif

            return render_sarif(views, comparison=manner.comparison, place=manner.place)
        case Format.MARKDOWN:
            from dbwatch.report.markdown import render_markdown

            return render_markdown(views, duration_seconds=duration_seconds, comparison=manner.comparison)
        case Format.HTML:
            from dbwatch.report.statuspage import StatusPage

            return StatusPage().report(views, manner.comparison)
