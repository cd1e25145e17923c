"""Owns the process of the daemon from its log to its exit code. Knows no command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dbwatch.cli.handover import Serving
from dbwatch.config import Config
from dbwatch.config.aside import Answer, Source, settle


@contextmanager
def _without(module: str) -> Iterator[None]:
    """As if the module were not installed."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # that is how Python says it
    try:
        yield
    finally:
        del sys.modules[module]


# structlog would load it (4 MB) for tracebacks in colour, which show the values of variables: we never write such.
with _without("rich"):
    import structlog  # noqa: F401

from dbwatch.daemon import Daemon  # noqa: E402
from dbwatch.logs import close, configure  # noqa: E402


def serve(serving: Serving) -> int:
    """Runs until a signal. Raises ConfigError before anything is started."""
    configure(serving.log_level, serving.log_format)
    daemon = Daemon(
        _Reader(serving.source, serving.answer),
        serving.host,
        serving.port,
        enable_reload=serving.enable_reload,
        web_config=serving.web_config,
        shard=serving.shard,
    )
    del serving  # or the first configuration would outlive a reload
    code = daemon.run()
    sys.stdout.flush()
    close()
    # Python would join executor threads, and one of them may hang in a frozen server's socket.
    os._exit(code)


class _Reader:
    """What was read before the daemon began, once; after that what is read then."""

    def __init__(self, source: Source, first: Answer) -> None:
        self._source = source
        self._first: Answer | None = first

    def __call__(self) -> Config:
        answer, self._first = self._first, None
        return settle(answer if answer is not None else self._source.read_aside())
