"""Owns the `serve` sub-command: reading its options and starting the daemon."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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

from dbwatch.config.shard import Shard  # noqa: E402
from dbwatch.daemon import Daemon, config_source  # noqa: E402
from dbwatch.errors import ConfigError  # noqa: E402
from dbwatch.logs import close, configure  # noqa: E402


def run_serve(
    urls: tuple[str, ...],
    config: Path | None,
    listen: str,
    web_config: Path | None,
    enable_reload: bool,
    log_level: str,
    log_format: str,
    shard: str | None = None,
) -> int:
    """Runs until a signal. Raises ConfigError before anything is started."""
    configure(log_level, log_format)
    host, port = listen_address(listen)
    if urls and config is not None:
        raise ConfigError.of("arguments", "give either URLs or --config")
    source = config_source(config, urls)
    own = Shard.parse(shard) if shard is not None else None
    code = Daemon(source, host, port, enable_reload=enable_reload, web_config=web_config, shard=own).run()
    sys.stdout.flush()
    close()
    # Python would join executor threads, and one of them may hang in a frozen server's socket.
    os._exit(code)


def listen_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:10187`, `[::1]:10187` or `:10187`, which is every address. Raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError.of("--web.listen-address", f"{text!r} is not host:port", hint="for example 127.0.0.1:10187")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - ":port" asks for every address
