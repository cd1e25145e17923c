"""Owns the `serve` sub-command: reading its options and its configuration, and starting the daemon."""

from __future__ import annotations

import contextlib
from pathlib import Path

from dbwatch.cli.handover import Serving, begin_again
from dbwatch.config.aside import Source
from dbwatch.config.shard import Shard
from dbwatch.errors import ConfigError


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
    host, port = listen_address(listen)
    if urls and config is not None:
        raise ConfigError.of("arguments", "give either URLs or --config")
    own = Shard.parse(shard) if shard is not None else None
    source = Source(config, urls)
    serving = Serving(source, source.read(), host, port, web_config, enable_reload, own, log_level, log_format)
    with contextlib.suppress(OSError):  # then the daemon is this process as it is, and only larger
        begin_again(serving)

    from dbwatch.cli.serving import serve

    return serve(serving)


def listen_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:10187`, `[::1]:10187` or `:10187`, which is every address. Raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError.of("--web.listen-address", f"{text!r} is not host:port", hint="for example 127.0.0.1:10187")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - ":port" asks for every address
