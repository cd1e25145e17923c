"""Owns the `check` sub-command: choosing targets, the progress line, writing the report."""

from __future__ import annotations

import datetime
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
from dbwatch.report import Manner, exit_code, render
from dbwatch.report.baseline import Baseline, baseline_text, compare, load_baseline, recorded
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
    baseline: Path | None = None
    update_baseline: bool = False
    fail_on_new: bool = False


def run_check(options: CheckOptions) -> int:
    """Returns the Nagios exit code. Raises ConfigError."""
    configure(options.log_level, "auto")
    if options.fail_on not in ("warning", "critical"):
        raise ConfigError.of("--fail-on", f"{options.fail_on!r} is not a level", hint="warning or critical")
    config = choose(options.names, options.config)
    for target in config.targets:
        options.selection.of(config.catalogue, target)
    baseline = _baseline(options)
    with ProgressLine() as line:
        result = run_once(config, options.selection, sample_seconds=options.sample_seconds, on_wait=line.show)
    comparison = compare(baseline, result.views) if baseline is not None else None
    manner = Manner(
        rows=options.rows,
        color=options.color if options.output is None else False,
        fail_on=Status(options.fail_on),
        comparison=comparison,
        only_new=options.fail_on_new,
        place=str(options.config) if options.config is not None else None,
    )
    text = render(
        options.format,
        result.views,
        started_at_seconds=result.started_at_seconds,
        duration_seconds=result.duration_seconds,
        manner=manner,
    )
    write(text, options.output)
    if options.baseline is not None and (baseline is None or options.update_baseline):
        now = recorded(result.views, datetime.datetime.now(tz=datetime.UTC), baseline)
        write(baseline_text(now), options.baseline)
        # Recording is the first step of a pipeline: whatever is there is known from now on.
        comparison = comparison or compare(now, result.views)
    return exit_code(result.views, Status(options.fail_on), only_new=comparison if options.fail_on_new else None)


def _baseline(options: CheckOptions) -> Baseline | None:
    """The baseline to compare with; None when there is none yet. Raises ConfigError before anything is asked."""
    if options.baseline is None:
        for option, given in (("--fail-on-new", options.fail_on_new), ("--update-baseline", options.update_baseline)):
            if given:
                raise ConfigError.of(option, "needs a baseline", hint="add --baseline FILE")
        return None
    return load_baseline(options.baseline) if options.baseline.exists() else None


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
