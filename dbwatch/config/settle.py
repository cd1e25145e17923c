"""Owns joining `defaults` with each target into a settled Target. Opens nothing; checks no names of checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dbwatch.catalogue.schema import Profile
from dbwatch.config.password import PasswordSource
from dbwatch.config.schema import ConfigFile, ExpectFile, MachineFile, TargetFile
from dbwatch.config.target import DEFAULT_BUDGET, Expect, Ignore, Machine, Target
from dbwatch.config.url import CONSOLE, ServerUrl, UrlError, console_url, parse_url
from dbwatch.errors import Problem
from dbwatch.model import Engine, Status
from dbwatch.strictyaml import Document, KeyPath

_DEFAULT_PORTS = {Engine.POSTGRES: 5432, Engine.REDIS: 6379, Engine.PGBOUNCER: 6432}


class Settler:
    """Joins defaults and targets, collecting problems."""

    def __init__(self, document: Document, model: ConfigFile, base: Path) -> None:
        self.document = document
        self.model = model
        self.base = base
        self.problems: list[Problem] = []

    def targets(self) -> tuple[Target, ...]:
        settled: dict[str, Target] = {}
        for position, model in enumerate(self.model.targets):
            path: KeyPath = ("targets", position)
            target = self._target(path, model)
            if model.name in settled:
                self._fail((*path, "name"), f"{model.name} is the name of another target already")
            if target is not None:
                settled[model.name] = target
        self._backups_of(settled)
        self._servers_there(settled)
        return tuple(settled.values())

    def _backups_of(self, settled: Mapping[str, Target]) -> None:
        servers = {name for name, target in settled.items() if target.engine is Engine.POSTGRES}
        for position, model in enumerate(self.model.targets):
            if model.backup_of is not None and model.backup_of not in servers:
                self._fail(
                    ("targets", position, "backup_of"), f"{model.backup_of} is no PostgreSQL target of this file"
                )

    def _servers_there(self, settled: Mapping[str, Target]) -> None:
        servers = {name for name, target in settled.items() if target.engine not in (Engine.BACKUP, Engine.HOST)}
        for position, model in enumerate(self.model.targets):
            for name in model.targets_there:
                if name not in servers:
                    self._fail(("targets", position, "of"), f"{name} is no server of this file")

    def _fail(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        self.problems.append(self.document.problem(path, message, hint))

    def _target(self, path: KeyPath, model: TargetFile) -> Target | None:
        url: ServerUrl | None = None
        if model.url is not None:
            try:
                url = parse_url(model.url)
                if (url.engine, model.engine) == (Engine.POSTGRES, Engine.PGBOUNCER):
                    url = console_url(url)
            except UrlError as error:
                self._fail((*path, "url"), str(error))
                return None
            if url.engine is not model.engine:
                self._fail((*path, "url"), f"is a {url.engine.product} URL, the engine is {model.engine}")
                return None
        if model.engine is Engine.PGBOUNCER and model.dbname not in (None, CONSOLE):
            self._fail((*path, "dbname"), f"the console of PgBouncer is the database {CONSOLE}", "leave it out")
        defaults = self.model.defaults
        tls = model.tls
        options = dict(url.options) if url else {}
        if tls is not None:
            options["sslmode"] = tls.mode
            files = {"sslrootcert": tls.ca_file, "sslcert": tls.cert_file, "sslkey": tls.key_file}
            options.update({key: str(self.base / file) for key, file in files.items() if file is not None})
        host = url.host if url else model.host or ""
        return Target(
            name=model.name,
            engine=model.engine,
            host=host,
            port=url.port if url else model.port or self._default_port(model.engine, host),
            database=(url.database if url else model.dbname) or (CONSOLE if model.engine is Engine.PGBOUNCER else ""),
            user=(url.user if url else model.user) or "",
            password=self._password(model, url),
            options=options,
            tls=(url.tls if url else False) or (tls is not None and tls.mode != "disable"),
            profile=self._profile(model),
            labels={**defaults.labels, **model.labels},
            intervals={**defaults.intervals, **model.intervals},
            thresholds=self._thresholds(model),
            enable=(*defaults.checks.enable, *model.checks.enable),
            disable=(*defaults.checks.disable, *model.checks.disable),
            ignore=tuple(
                Ignore(i.check, i.key, i.reason, i.until) for overrides in (defaults, model) for i in overrides.ignore
            ),
            include_databases=(*defaults.databases.include, *model.databases.include),
            exclude_databases=(*defaults.databases.exclude, *model.databases.exclude),
            connect_timeout=model.connect_timeout or defaults.connect_timeout or 5.0,
            backups=model.settled(self.base),
            expect=expect_of(model.expect),
            machine=machine_of(model.machine),
            place=model.place(),
            compat=self._compat(model),
            budget=self._budget(model),
        )

    def _default_port(self, engine: Engine, host: str) -> int | None:
        """A socket needs none, but libpq takes PostgreSQL's own number for the name of PgBouncer's."""
        return None if host.startswith("/") and engine is not Engine.PGBOUNCER else _DEFAULT_PORTS.get(engine)

    def _profile(self, model: TargetFile) -> Profile:
        return model.profile or self.model.defaults.profile or Profile.STANDARD

    def _compat(self, model: TargetFile) -> bool:
        """Who asks for little is not asked for the compatibility pages."""
        for given in (model.compat, self.model.defaults.compat):
            if given is not None:
                return given
        return self._profile(model) is not Profile.MINIMAL

    def _budget(self, model: TargetFile) -> float | None:
        """None where there is no limit, and where there is no server that could be kept busy."""
        if model.engine in (Engine.BACKUP, Engine.HOST):
            return None
        given = (share for share in (model.budget, self.model.defaults.budget, DEFAULT_BUDGET) if share is not None)
        return next(given) or None

    def _password(self, model: TargetFile, url: ServerUrl | None) -> PasswordSource | None:
        if model.password_file is not None:
            return PasswordSource(file=self.base / model.password_file)
        if model.password_env is not None:
            return PasswordSource(env=model.password_env)
        if model.password_command is not None:
            return PasswordSource(command=tuple(model.password_command))
        return PasswordSource(literal=url.password) if url is not None and url.password is not None else None

    def _thresholds(self, model: TargetFile) -> dict[str, Mapping[Status, str]]:
        merged: dict[str, dict[Status, str]] = {}
        for overrides in (self.model.defaults, model):
            for name, levels in overrides.thresholds.items():
                texts = {Status.CRITICAL: levels.critical, Status.WARNING: levels.warning}
                merged.setdefault(name, {}).update({status: text for status, text in texts.items() if text is not None})
        return dict(merged)


def expect_of(model: ExpectFile | None) -> Expect:
    if model is None:
        return Expect()
    if isinstance(model.replicas, list):
        return Expect(model.role, tuple(model.replicas), len(model.replicas))
    return Expect(model.role, (), model.replicas)


def machine_of(model: MachineFile | None) -> Machine:
    return Machine(model.memory, model.cpus) if model is not None else Machine()
