"""The backup tools that are asked by running them: pgBackRest, Barman, WAL-G."""

from __future__ import annotations

from dbwatch.engines.backup.tools.sources import tool_sources

__all__ = ["tool_sources"]
