"""Owns the `doctor` sub-command: choosing targets, visiting them side by side, writing the report."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dbwatch.cli.check import choose, write
from dbwatch.doctor.diagnosis import exit_code
from dbwatch.doctor.platforms import Platform
from dbwatch.doctor.visit import visit
from dbwatch.engines import Engines
from dbwatch.errors import ConfigError
from dbwatch.logs import configure
from dbwatch.runner.watchdog import Watchdog

_MOST_THREADS = 16


def run_doctor(
    names: tuple[str, ...],
    config: Path | None,
    platform: str | None,
    output_format: str,
    *,
    color: bool | None = None,
    log_level: str = "error",
) -> int:
    """0 nothing is missing, 1 something is, 3 a server could not be reached. Raises ConfigError."""
    configure(log_level, "auto")
    if output_format not in ("text", "json"):
        raise ConfigError.of("--format", f"{output_format!r} is not a format of doctor", hint="text or json")
    place = _platform(platform)
    chosen = choose(names, config)
    engines, watchdog = Engines(), Watchdog()
    try:
        with ThreadPoolExecutor(min(len(chosen.targets), _MOST_THREADS), "dbwatch-doctor") as pool:
            visits = [
                pool.submit(visit, target, chosen.catalogue, engines.adapter(target.engine), watchdog, place)
                for target in chosen.targets
            ]
            diagnoses = [one.result() for one in visits]
    finally:
        watchdog.close()
    if output_format == "json":
        from dbwatch.doctor.document import render_json

        write(render_json(diagnoses), None)
    else:
        from dbwatch.doctor.text import render_text

        write(render_text(diagnoses, color=color), None)
    return exit_code(diagnoses)


def _platform(name: str | None) -> Platform | None:
    if name is None:
        return None
    try:
        return Platform(name)
    except ValueError:
        known = ", ".join(Platform)
        raise ConfigError.of("--platform", f"{name!r} is not a platform", hint=f"one of {known}") from None
