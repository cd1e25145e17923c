"""Owns turning a config file, URLs or the environment into settled targets. Opens no connection.

Every problem is collected before anything is refused; unknown checks and bad thresholds count as problems.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from dbwatch.bundled import bundled
from dbwatch.catalogue import Catalogue, load_catalogue
from dbwatch.config.interpolate import Interpolation, read_small
from dbwatch.config.overrides import override_problems
from dbwatch.config.password import PasswordSource
from dbwatch.config.schema import ConfigFile
from dbwatch.config.settle import Settler
from dbwatch.config.settled import Config
from dbwatch.config.target import Target
from dbwatch.config.url import ServerUrl, UrlError, parse_url
from dbwatch.errors import ConfigError, Problem
from dbwatch.model import Engine
from dbwatch.strictyaml import Node, path_text, read_file
from dbwatch.validation import problems_of

_ENVIRONMENT_TARGETS = (("postgres", Engine.POSTGRES, "DATABASE_URL"), ("redis", Engine.REDIS, "REDIS_URL"))


def load_config(path: Path, *, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and settle a config file. Raises ConfigError with every problem at once."""
    document = read_file(path, tags=frozenset({"!file"}))
    values = Interpolation(document, path.parent, environ)
    data, model = values.data, None
    if not isinstance(data, dict):
        raise ConfigError([document.problem((), "is not a mapping", "a config starts with `targets:`")])
    found: list[Problem] = []
    try:
        model = ConfigFile.model_validate(data)
    except ValidationError as error:
        found += problems_of(document, error, ConfigFile)
    catalogue = Catalogue({})
    directories = (bundled("checks"), *_directories(data.get("checks_dir"), path.parent))
    try:
        catalogue = load_catalogue(directories)
        found += override_problems(document, data, catalogue)
    except ConfigError as error:
        found += error.problems
    targets: tuple[Target, ...] = ()
    if model is not None:
        settler = Settler(document, model, path.parent)
        targets = settler.targets()
        found += settler.problems
    # A value that could not be read has one problem, not a second one for what stands in its place.
    unread = {path_text(place) for place in values.failed}
    problems = [*values.problems, *(problem for problem in found if problem.path not in unread)]
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: (problem.file != str(path), problem.line or 0)))
    return Config(targets, catalogue, str(path), directories)


def zero_config(urls: Sequence[str] = (), *, environ: Mapping[str, str] = os.environ) -> Config:
    """Targets from URLs, or from DATABASE_URL and REDIS_URL (also as *_FILE) when there are none.

    The names are `postgres` and `redis`; a second server of a kind is `postgres-2` and so on.
    """
    source = "command line" if urls else "environment"
    directories = (bundled("checks"),)
    return Config(_zero_targets(urls, environ), load_catalogue(directories), source, directories)


def target_from_url(text: str) -> Target:
    """The one target a URL names, called like its engine. Raises ConfigError."""
    (target,) = _zero_targets([text], {})
    return target


def _zero_targets(urls: Sequence[str], environ: Mapping[str, str]) -> tuple[Target, ...]:
    targets: list[Target] = []
    if urls:
        for position, text in enumerate(urls, 1):
            url = _parse(text, f"argument {position}")
            count = sum(target.engine is url.engine for target in targets)
            targets.append(_from_url(f"{url.engine}-{count + 1}" if count else str(url.engine), url))
    else:
        for name, engine, variable in _ENVIRONMENT_TARGETS:
            given = _from_environment(variable, environ)
            if given is None:
                continue
            url = _parse(given, variable)
            if url.engine is not engine:
                raise ConfigError.of(
                    variable, f"is not a {engine.product} URL", hint=f"{variable} names a {engine.product} server"
                )
            targets.append(_from_url(name, url))
    return tuple(targets)


def _parse(text: str, source: str) -> ServerUrl:
    try:
        return parse_url(text)
    except UrlError as error:
        raise ConfigError.of(source, str(error)) from None


def _from_environment(variable: str, environ: Mapping[str, str]) -> str | None:
    if text := environ.get(variable):
        return text
    path = environ.get(f"{variable}_FILE")
    if not path:
        return None
    try:
        return read_small(Path(path)).strip()
    except ValueError as error:
        raise ConfigError.of(f"{variable}_FILE", str(error)) from None


def _from_url(name: str, url: ServerUrl) -> Target:
    password = PasswordSource(literal=url.password) if url.password is not None else None
    return Target(
        name=name,
        engine=url.engine,
        host=url.host,
        port=url.port,
        database=url.database,
        user=url.user,
        password=password,
        options=url.options,
        tls=url.tls,
    )


def _directories(given: Node, base: Path) -> list[Path]:
    names = given if isinstance(given, list) else [given]
    return [base / name for name in names if isinstance(name, str)]
