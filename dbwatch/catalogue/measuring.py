"""Owns what the measuring half of a file means, for checks and collectors alike. Knows no levels and no families."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbwatch.catalogue.commands import KNOWN_COMMANDS, only_looks
from dbwatch.catalogue.schema import Scope, parse_version_bound
from dbwatch.catalogue.shows import KNOWN_SHOWS, only_shows
from dbwatch.catalogue.sqlgate import sql_problems
from dbwatch.errors import Problem
from dbwatch.model import Engine, Role

if TYPE_CHECKING:
    from dbwatch.catalogue.file import MeasureFile, RequiresFile
    from dbwatch.strictyaml import Document, KeyPath


@dataclass(frozen=True, slots=True)
class Requires:
    """What must hold for a check to run. Version bounds compare as tuples."""

    role: Role | None = None
    version: tuple[str, tuple[int, ...]] | None = None
    extension: str | None = None
    privilege: str | None = None
    setting: str | None = None
    flavour: str | None = None

    @classmethod
    def of(cls, given: RequiresFile) -> Requires:
        version = parse_version_bound(given.version) if given.version is not None else None
        return cls(given.role, version, given.extension, given.privilege, given.setting, given.flavour)


def sql_by_version(document: Document, model: MeasureFile, problems: list[Problem]) -> dict[tuple[int, ...], str]:
    """The SQL by the lowest version it is for; what is wrong with the versions goes to `problems`."""
    given = model.sql
    if given is None:
        return {}
    if isinstance(given, str):
        return {(0,): given}
    versions: dict[tuple[int, ...], str] = {}
    for text, sql in given.items():
        if not re.fullmatch(r"\d+(\.\d+)*", text):
            problems.append(document.problem(("sql", text), "is not a server version", 'write it like "14"'))
            continue
        versions[tuple(int(part) for part in text.split("."))] = sql
    lowest = Requires.of(model.requires).version
    if versions and (lowest is None or lowest[0] != ">=" or lowest[1] < min(versions)):
        hint = f'add requires.version ">={".".join(map(str, min(versions)))}"'
        problems.append(document.problem(("sql",), "leaves older servers without SQL", hint))
    return versions


def source_problems(document: Document, model: MeasureFile, engine: Engine) -> Iterator[Problem]:
    """What the engine would refuse of the SQL, the command, the scope and the time limit."""
    for place, sql in _sql_texts(document):
        yield from sql_problems(document, place, sql)
    if model.sql is not None and engine is not Engine.POSTGRES:
        yield document.problem(("sql",), f"{engine} takes no SQL", "use `command` and `fields`")
    if model.command is not None and not _is_known(model.command, engine):
        message = f"dbwatch does not send {model.command} to {engine.product}"
        hint = f"PgBouncer checks may use {KNOWN_SHOWS}" if engine is Engine.PGBOUNCER else None
        yield document.problem(("command",), message, hint or f"Redis checks may use {KNOWN_COMMANDS}")
    if model.scope is Scope.DATABASE and engine is not Engine.POSTGRES:
        yield document.problem(("scope",), f"{engine} has no database scope")
    if model.timeout >= model.interval:
        yield document.problem(("timeout",), "is not shorter than the interval", "lower `timeout` or raise `every`")


def _is_known(command: str, engine: Engine) -> bool:
    if engine is Engine.PGBOUNCER:
        return only_shows(command)
    return engine is Engine.REDIS and only_looks(command)


def _sql_texts(document: Document) -> Iterator[tuple[KeyPath, str]]:
    if not isinstance(document.data, dict):
        return
    if isinstance(sign := document.data.get("only_if"), str):
        yield ("only_if",), sign
    given = document.data.get("sql")
    if isinstance(given, str):
        yield ("sql",), given
    elif isinstance(given, dict):
        for version, sql in given.items():
            yield ("sql", version), str(sql)
