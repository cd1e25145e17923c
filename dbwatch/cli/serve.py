"""Owns the `serve` sub-command: reading its options and starting the daemon."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dbwatch.daemon import Daemon, config_source
from dbwatch.errors import ConfigError
from dbwatch.logs import close, configure


def run_serve(
    urls: tuple[str, ...],
    config: Path | None,
    listen: str,
    web_config: Path | None,
    enable_reload: bool,
    log_level: str,
    log_format: str,
) -> int:
    """Runs until a signal. Raises ConfigError before anything is started."""
    configure(log_level, log_format)
    host, port = listen_address(listen)
    if urls and config is not None:
        raise ConfigError.of("arguments", "give either URLs or --config")
    source = config_source(config, urls)
    code = Daemon(source, host, port, enable_reload=enable_reload, web_config=web_config).run()
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
