"""Owns lending the logging of this process to a test: it is one for all, so the others get back what they had."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from dbwatch import logs


@contextmanager
def own_logging() -> Iterator[None]:
    """Whatever is configured inside ends with the block."""
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    try:
        yield
    finally:
        logs.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**configured)
