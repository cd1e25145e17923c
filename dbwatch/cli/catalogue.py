"""Owns the sub-commands that read the catalogue and touch no server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import typer

from dbwatch.bundled import bundled
from dbwatch.catalogue import Catalogue, Check, load_catalogue
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.catalogue.contract import LOCK_WORDS, needs, versions
from dbwatch.catalogue.loader import load_check
from dbwatch.catalogue.schema import Scope
from dbwatch.config import load_config
from dbwatch.errors import ConfigError, Problem
from dbwatch.model import Engine
from dbwatch.units import duration_text


def run_validate(config: Path | None, files: tuple[Path, ...]) -> int:
    problems: list[Problem] = []
    count = 0
    for path in files:
        try:
            if path.is_dir():
                count += len(load_catalogue([path]).checks)
            else:
                load_check(path, _engine_of(path))
                count += 1
        except ConfigError as error:
            problems.extend(error.problems)
    text = f"{count} checks are fine"
    if config is not None or not files:
        try:
            text = _validate_config(config)
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    typer.echo(text)
    return 0


def _validate_config(config: Path | None) -> str:
    if config is None:
        load_collectors([bundled("checks")])
        return f"{len(load_catalogue([bundled('checks')]).checks)} bundled checks are fine; no configuration was given"
    loaded = load_config(config)
    load_collectors(loaded.check_directories)
    targets = "1 target" if len(loaded.targets) == 1 else f"{len(loaded.targets)} targets"
    return f"{config} is fine: {targets}, {len(loaded.catalogue.checks)} checks"


def _engine_of(path: Path) -> Engine:
    try:
        return Engine(path.resolve().parent.name)
    except ValueError:
        engines = ", ".join(engine.value for engine in Engine)
        raise ConfigError.of(str(path), "lies in no engine's folder", hint=f"put it into one of {engines}") from None


def catalogue(config: Path | None) -> Catalogue:
    return load_config(config).catalogue if config is not None else load_catalogue([bundled("checks")])


def run_list(config: Path | None, output_format: str) -> int:
    checks = sorted(catalogue(config), key=lambda check: (check.engine, check.group, check.name))
    if output_format == "json":
        typer.echo(json.dumps([_as_json(check) for check in checks], indent=2))
        return 0
    if output_format != "text":
        raise ConfigError.of("--format", f"{output_format!r} is not a format of list", hint="text or json")
    width = max((len(check.name) for check in checks), default=0)
    heading: tuple[Engine, str] | None = None
    for check in checks:
        if heading != (check.engine, check.group):
            heading = (check.engine, check.group)
            typer.echo(f"\n{check.engine.product} · {check.group}")
        off = "  (on demand)" if check.on_demand else "" if check.enabled else "  (off by default)"
        typer.echo(f"  {check.name:<{width}}  every {duration_text(check.every):<7} {check.summary}{off}")
        typer.echo(f"  {'':<{width}}  {_contract(check)}")
    typer.echo(f"\n{len(checks)} checks; `dbwatch explain NAME` tells more")
    return 0


def _contract(check: Check) -> str:
    wants = needs(check)
    parts = [f"{check.cost} cost", LOCK_WORDS[check.lock], f"needs {wants}" if wants else "needs nothing"]
    return ", ".join(["for each database" if check.scope is Scope.DATABASE else "for the server", *parts])


def _as_json(check: Check) -> dict[str, object]:
    return {
        "check": check.name,
        "engine": str(check.engine),
        "group": check.group,
        "summary": check.summary,
        "every_seconds": check.every,
        "timeout_seconds": check.timeout,
        "scope": str(check.scope),
        "profile": str(check.profile),
        "enabled": check.enabled and not check.on_demand,
        "on_demand": check.on_demand,
        "cost": str(check.cost),
        "lock": str(check.lock),
        "requires": {
            "role": check.requires.role,
            "version": versions(check) if check.requires.version else None,
            "privilege": check.requires.privilege,
            "extension": check.requires.extension,
            "setting": check.requires.setting,
        },
        "levels": {str(status): text for status, text in check.level_texts.items()},
        "metrics": [column.metric for column in check.exported.values()],
        "file": check.file,
    }


def run_grants(engine: str, user: str) -> int:
    match engine:
        case "postgres":
            from dbwatch.engines.postgres.grants import grants_script as postgres_script

            typer.echo(postgres_script(user))
        case "redis":
            from dbwatch.engines.redis.grants import grants_script as redis_script

            if not re.fullmatch(r"[\w.-]+", user):
                raise ConfigError.of("--user", f"{user!r} is not a Redis user name", hint="letters, digits, . _ and -")
            collectors = load_collectors([bundled("checks")]).of(Engine.REDIS)
            typer.echo(redis_script(user, catalogue(None).of(Engine.REDIS), collectors))
        case "pgbouncer":
            from dbwatch.engines.pgbouncer.grants import grants_script as pgbouncer_script

            typer.echo(pgbouncer_script(user))
        case _:
            raise ConfigError.of("--engine", f"{engine!r} has no grants", hint="postgres, redis or pgbouncer")
    return 0


def run_schema(kind: str) -> int:
    from dbwatch.render.schemas import check_schema, config_schema

    if kind not in ("check", "config"):
        raise ConfigError.of("schema", f"{kind!r} has no schema", hint="check or config")
    typer.echo(json.dumps(check_schema() if kind == "check" else config_schema(), indent=2))
    return 0


def run_render(config: Path | None, out: Path, verify: bool, prune: bool) -> int:
    from dbwatch.render import GENERATED, render_all

    loaded = load_config(config) if config is not None else None
    files = render_all(loaded.catalogue, targets=loaded.targets) if loaded is not None else render_all(catalogue(None))
    stale = [name for name, text in files.items() if _content(out / name) != text]
    found = sorted(path for pattern in GENERATED for path in out.glob(pattern)) if prune else []
    leftover = [path for path in found if path.relative_to(out).as_posix() not in files]
    if verify:
        for path in [*(out / name for name in stale), *leftover]:
            typer.echo(f"{path} differs from the catalogue", err=True)
        return 1 if stale or leftover else 0
    try:
        for name in stale:
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name])
        for path in leftover:
            path.unlink()
    except OSError as error:
        raise ConfigError.of(str(error.filename), f"cannot be written: {error.strerror}") from None
    typer.echo(f"{len(stale)} of {len(files)} files written to {out}{f', {len(leftover)} removed' if prune else ''}")
    return 0


def _content(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
