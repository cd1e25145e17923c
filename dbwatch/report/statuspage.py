"""Owns a report as a page: one document, one inline style, no script. The template escapes everything shown.

The daemon serves it live; `dbwatch check --format html` writes it into a file.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Final

from dbwatch.report.overview import overview
from dbwatch.store import TargetView

if TYPE_CHECKING:
    from jinja2 import Template

    from dbwatch.report.comparison import Comparison

REFRESH_SECONDS: Final = 15


class StatusPage:
    """Renders the page; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._style = resources.files("dbwatch.report").joinpath("templates/style.css").read_text("utf-8")

    @functools.cached_property
    def _template(self) -> Template:
        # Most daemons are only scraped: what the page needs is loaded (2 MB) when somebody looks at it.
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("dbwatch.report"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        return environment.get_template("status.html")

    @property
    def style_hash(self) -> str:
        """What a Content-Security-Policy calls our inline style."""
        return f"sha256-{base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()}"

    def render(self, views: Sequence[TargetView], *, refreshing: bool = True) -> str:
        """The page as the daemon serves it, which its reader may keep open."""
        return self._rendered(views, live=True, refresh_seconds=REFRESH_SECONDS if refreshing else 0)

    def report(self, views: Sequence[TargetView], comparison: Comparison | None = None) -> str:
        """What one pass found, as a document that stands alone."""
        return self._rendered(views, comparison, live=False, refresh_seconds=0)

    def _rendered(
        self,
        views: Sequence[TargetView],
        comparison: Comparison | None = None,
        *,
        live: bool,
        refresh_seconds: int,
    ) -> str:
        from markupsafe import Markup

        return self._template.render(
            page=overview(views, self._clock(), comparison),
            live=live,
            # Our own file, never anybody's text.
            style=Markup(self._style),  # noqa: S704
            refresh_seconds=refresh_seconds,
        )
