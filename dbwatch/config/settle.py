"""Owns joining `defaults` with each target into a settled Target. Opens nothing; checks no names of checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dbwatch.catalogue.schema import Profile
from dbwatch.config.password import PasswordSource
from dbwatch.config.schema import ConfigFile, TargetFile
from dbwatch.config.target import Dumps, Expect, Ignore, Machine, Target
from dbwatch.config.url import ServerUrl, UrlError, parse_url
from dbwatch.errors import Problem
from dbwatch.model import Engine, Status
from dbwatch.strictyaml import Document, KeyPath

_DEFAULT_PORTS = {Engine.POSTGRES: 5432, Engine.REDIS: 6379}


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
        return tuple(settled.values())

    def _fail(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        self.problems.append(self.document.problem(path, message, hint))

    def _target(self, path: KeyPath, model: TargetFile) -> Target | None:
        url: ServerUrl | None = None
        if model.url is not None:
            try:
                url = parse_url(model.url)
            except UrlError as error:
                self._fail((*path, "url"), str(error))
                return None
            if url.engine is not model.engine:
                self._fail((*path, "url"), f"is a {url.engine.product} URL, the engine is {model.engine}")
                return None
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
            port=url.port
            if url
            else model.port or (None if host.startswith("/") else _DEFAULT_PORTS.get(model.engine)),
            database=(url.database if url else model.dbname) or "",
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
            dumps=Dumps(self.base / model.dumps.path, model.dumps.pattern, model.dumps.every) if model.dumps else None,
            expect=Expect.of(model.expect) if model.expect else Expect(),
            machine=Machine.of(model.machine) if model.machine else Machine(),
            compat=self._compat(model),
        )

    def _profile(self, model: TargetFile) -> Profile:
        return model.profile or self.model.defaults.profile or Profile.STANDARD

    def _compat(self, model: TargetFile) -> bool:
        """Who asks for little is not asked for the compatibility pages."""
        for given in (model.compat, self.model.defaults.compat):
            if given is not None:
                return given
        return self._profile(model) is not Profile.MINIMAL

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
