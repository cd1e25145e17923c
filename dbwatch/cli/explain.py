"""Owns the `explain` sub-command: the text of a check or an alert, and what a server answers to its questions."""

from __future__ import annotations

from pathlib import Path

import typer

from dbwatch.cli.catalogue import catalogue
from dbwatch.errors import ConfigError, TargetError


def run_explain(config: Path | None, name: str, target: str | None) -> int:
    """0; raises ConfigError for what is not known, TargetError when the target cannot be reached."""
    from dbwatch.render import explain

    known = catalogue(config)
    text = explain(known, name)
    if text is None:
        raise ConfigError.of("explain", f"no check or alert is named {name!r}", hint=known.suggest(name))
    typer.echo(text)
    if target is not None:
        _diagnose(config, name, target)
    return 0


def _diagnose(config: Path | None, name: str, target_name: str) -> None:
    from dbwatch.cli.check import choose
    from dbwatch.diagnose.ask import diagnose
    from dbwatch.diagnose.text import replies_text
    from dbwatch.engines import Engines
    from dbwatch.logs import configure
    from dbwatch.render import find_checks
    from dbwatch.runner.watchdog import Watchdog

    configure("error", "auto")
    chosen = choose((target_name,), config)
    target = chosen.targets[0]
    found = find_checks(chosen.catalogue, name)
    if not found:
        raise ConfigError.of("--target", f"{name} is about dbwatch itself: no server is asked", hint="leave it out")
    checks = [check for check in found if check.engine is target.engine]
    if not checks:
        message = f"{name} is no check of {target.engine.product}, which {target.name} is"
        raise ConfigError.of("--target", message, hint="name a target of the right kind")
    watchdog = Watchdog()
    try:
        for check in checks:
            typer.echo(f"\nDIAGNOSIS ON {target.name} ({target.address})")
            for line in replies_text(diagnose(check, target, Engines().adapter(target.engine), watchdog)):
                typer.echo(line)
    except TargetError as error:
        message = f"{target.name} cannot be reached at step {error.phase}: {error}"
        raise TargetError(error.reason, error.phase, message) from None
    finally:
        watchdog.close()
