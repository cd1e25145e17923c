"""Owns the status page as HTML: one document, one inline style, no script. The template escapes everything shown."""

from __future__ import annotations

import base64
import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Final

from dbwatch.store import TargetView
from dbwatch.web.overview import overview

if TYPE_CHECKING:
    from jinja2 import Template

REFRESH_SECONDS: Final = 15


class StatusPage:
    """Renders the page; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._style = resources.files("dbwatch.web").joinpath("templates/style.css").read_text("utf-8")

    @functools.cached_property
    def _template(self) -> Template:
        # Most daemons are only scraped: what the page needs is loaded (2 MB) when somebody looks at it.
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("dbwatch.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template("status.html")

    @property
    def style_hash(self) -> str:
        """What a Content-Security-Policy calls our inline style."""
        return f"sha256-{base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()}"

    def render(self, views: Sequence[TargetView], *, refreshing: bool = True) -> str:
        from markupsafe import Markup

        return self._template.render(
            page=overview(views, self._clock()),
            # Our own file, never anybody's text.
            style=Markup(self._style),  # noqa: S704
            refresh_seconds=REFRESH_SECONDS if refreshing else 0,
        )
