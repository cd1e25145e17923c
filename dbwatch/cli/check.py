"""Owns the `check` sub-command: choosing targets, the progress line, writing the report."""

from __future__ import annotations

import io
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from dbwatch.adhoc import Progress, Selection, run_once
from dbwatch.config import Config, load_config, zero_config
from dbwatch.config.url import is_url
from dbwatch.errors import ConfigError
from dbwatch.logs import configure
from dbwatch.model import Status
from dbwatch.report import exit_code, render
from dbwatch.report.format import Format

_QUIET_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """The command line of `check`."""

    names: tuple[str, ...]
    config: Path | None
    selection: Selection
    rows: bool
    sample_seconds: float
    format: Format
    output: Path | None
    fail_on: str
    color: bool | None
    log_level: str


def run_check(options: CheckOptions) -> int:
    """Returns the Nagios exit code. Raises ConfigError."""
    configure(options.log_level, "auto")
    if options.fail_on not in ("warning", "critical"):
        raise ConfigError.of("--fail-on", f"{options.fail_on!r} is not a level", hint="warning or critical")
    config = choose(options.names, options.config)
    for target in config.targets:
        options.selection.of(config.catalogue, target)
    with ProgressLine() as line:
        result = run_once(config, options.selection, sample_seconds=options.sample_seconds, on_wait=line.show)
    text = render(
        options.format,
        result.views,
        started_at_seconds=result.started_at_seconds,
        duration_seconds=result.duration_seconds,
        rows=options.rows,
        color=options.color if options.output is None else False,
    )
    write(text, options.output)
    return exit_code(result.views, Status(options.fail_on))


def choose(names: tuple[str, ...], path: Path | None) -> Config:
    """URLs stand for themselves; names choose among the configuration's targets. Raises ConfigError."""
    urls = tuple(name for name in names if is_url(name))
    wanted = [name for name in names if not is_url(name)]
    if urls and wanted:
        raise ConfigError.of("arguments", "mix URLs and target names", hint="give one or the other")
    if urls:
        return zero_config(urls)
    config = load_config(path) if path is not None else zero_config()
    known = {target.name: target for target in config.targets}
    for name in wanted:
        if name not in known:
            hint = f"targets: {', '.join(known)}" if known else "give a URL or --config FILE"
            raise ConfigError.of(config.source, f"no target is named {name!r}", hint=hint)
    if not known:
        hint = "give a URL, --config FILE, or set DATABASE_URL or REDIS_URL"
        raise ConfigError.of(config.source, "names no target", hint=hint)
    return replace(config, targets=tuple(known[name] for name in wanted)) if wanted else config


def write(text: str, output: Path | None) -> None:
    """To a file or stdout. Raises ConfigError when the file cannot be written."""
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError.of(str(output), f"cannot be written: {error.strerror}") from None


class ProgressLine:
    """One line on the terminal's stderr once a run takes longer than a second; gone when it ends."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown = False
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def show(self, progress: Progress) -> None:
        elapsed = time.monotonic() - self._started
        if self._terminal and elapsed > _QUIET_SECONDS:
            self._shown = True
            sys.stderr.write(f"\r\x1b[K{progress.done} of {progress.total} checks, {elapsed:.0f} s")
            sys.stderr.flush()
