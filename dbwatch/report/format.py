"""Owns the names of the report formats. Imports nothing, because every command line needs them."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """What `--format` takes."""

    TEXT = "text"
    JSON = "json"
    PROMETHEUS = "prometheus"
    NAGIOS = "nagios"
    JUNIT = "junit"
    SARIF = "sarif"
    MARKDOWN = "markdown"
    HTML = "html"
