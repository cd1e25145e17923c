"""Owns reading the web-config file and the files it names, as a whole: settings, or every problem at once.

Knows neither connections nor requests. A part that means "protect me" and is empty is refused: a template that expanded
to nothing, or a file caught while it was being written, must not open the door.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from dbwatch.errors import ConfigError, Problem
from dbwatch.secret import Secret
from dbwatch.strictyaml import MAX_BYTES, Document, KeyPath, Node, read_file
from dbwatch.validation import problems_of
from dbwatch.web.asked import Loaded, Rate, Settings
from dbwatch.web.configfile import TLS12_SUITES, ClientAuth, TlsFile, WebFile, header_problem
from dbwatch.web.discretion import discreet, nameless
from dbwatch.web.tls import Pems, Rules, Tls, TlsError, make_tls, sans_of
from dbwatch.web.users import Users, is_usable

_TLS: Final = "tls_server_config"
_USERS: Final = "basic_auth_users"
_HSTS: Final = "Strict-Transport-Security"


def load_settings(path: Path) -> Loaded:
    """Read the file now. Problems never quote a key, a hash or what stands in their place."""
    try:
        document = read_file(path)
    except ConfigError as error:
        return Loaded(None, tuple(map(discreet, error.problems)), (path,))
    reading = _Reading(document, path)
    settings = reading.settings()
    problems = sorted(map(nameless, reading.problems), key=lambda problem: (problem.line or 0, problem.path))
    return Loaded(None if problems else settings, tuple(problems), tuple(reading.files))


class _Reading:
    def __init__(self, document: Document, path: Path) -> None:
        self.document = document
        self.path = path
        self.problems: list[Problem] = []
        self.files: list[Path] = [path]
        self.notes: list[str] = []
        self.failed: set[str] = set()

    def settings(self) -> Settings | None:
        data = self.document.data
        if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
            hint = "write {} to ask for no TLS and no password" if data is None else None
            self.add((), "is empty" if data is None else "is not a mapping", hint)
            return None
        file = self.shape(data)
        tls = self.tls(file.tls_server_config)
        if file.http_server_config.http2:
            self.notes.append("http2 is not spoken here: every connection is HTTP/1.1")
        return Settings(
            tls=tls,
            verifies_clients=file.tls_server_config.client_auth_type is ClientAuth.REQUIRE_AND_VERIFY,
            users=self.users(file.basic_auth_users),
            headers=self.headers(file, has_tls=bool(file.tls_server_config.model_fields_set)),
            rate=self.rate(file),
            notes=tuple(self.notes),
        )

    def add(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        self.problems.append(self.document.problem(path, message, hint))

    def shape(self, data: dict[str, Node]) -> WebFile:
        """The file as far as it fits its format; what does not is a problem and left out."""
        rest: dict[str, Node] = {}
        for name, section in data.items():
            if section is None and name in WebFile.model_fields:
                self.add((name,), "is empty", "leave it out, or write {} to ask for nothing")
                self.failed.add(name)
            else:
                rest[name] = dict(section) if isinstance(section, dict) else section
        try:
            return WebFile.model_validate(rest)
        except ValidationError as error:
            self.problems += problems_of(self.document, error, WebFile)
            for item in error.errors(include_url=False, include_input=False, include_context=False):
                section, *places = map(str, item["loc"][:2])
                inside = rest.get(section)
                if places and isinstance(inside, dict):
                    inside.pop(places[0], None)
                else:
                    rest.pop(section, None)
                self.failed.add(".".join((section, *places)))
        return WebFile.model_validate(rest)

    # -- TLS ---------------------------------------------------------------------------------------

    def tls(self, file: TlsFile) -> Tls | None:
        if not file.model_fields_set:
            return None
        cert, key = self.pem(file, "cert"), self.pem(file, "key")
        client_ca = self.pem(file, "client_ca", wanted=False)
        self.clients(file, has_ca=bool({"client_ca", "client_ca_file"} & file.model_fields_set))
        self.algorithms(file)
        if cert is None or key is None or any(problem.path.startswith(_TLS) for problem in self.problems):
            return None
        rules = Rules(
            client_auth=file.client_auth_type,
            allowed_sans=sans_of(file.client_allowed_sans) if file.client_allowed_sans is not None else None,
            min_version=file.min_version,
            max_version=file.max_version,
            cipher_suites=tuple(file.cipher_suites),
            prefer_server=file.prefer_server_cipher_suites,
            curve=next(iter(file.curve_preferences), None),
        )
        try:
            return make_tls(Pems(cert, Secret(key.decode("latin-1")), client_ca), rules)
        except TlsError as error:
            given = f"{error.part}_file"
            self.add((_TLS, given if given in file.model_fields_set else error.part), str(error))
            return None

    def pem(self, file: TlsFile, name: str, *, wanted: bool = True) -> bytes | None:
        """The text that stands in the file, or in the file that it names."""
        inline, named = getattr(file, name), getattr(file, f"{name}_file")
        if self.failed & {_TLS, f"{_TLS}.{name}", f"{_TLS}.{name}_file"}:
            return None
        if inline is not None and named is not None:
            self.add((_TLS, name), f"is given beside {name}_file", "keep one")
        elif inline is not None:
            text = inline.reveal() if isinstance(inline, Secret) else inline
            if name == "key":
                self.note_mode(self.path)
            return str(text).encode()
        elif named is not None:
            return self.file((_TLS, f"{name}_file"), self.path.parent / named, is_secret=name == "key")
        elif wanted:
            self.add((_TLS, name), "is missing", f"name a file with {name}_file, or give {name} itself")
        return None

    def file(self, place: KeyPath, path: Path, *, is_secret: bool) -> bytes | None:
        self.files.append(path)
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            self.add(place, f"{path} cannot be read: {error.strerror}", "check its path, owner and mode")
            return None
        if len(data) > MAX_BYTES:
            self.add(place, f"{path} is larger than {MAX_BYTES // 1024} KiB")
            return None
        if is_secret:
            self.note_mode(path)
        return data

    def note_mode(self, path: Path) -> None:
        try:
            if path.stat().st_mode & stat.S_IROTH:
                self.notes.append(f"{path} holds a secret and can be read by every user of this machine: chmod 600")
        except OSError:
            return

    def clients(self, file: TlsFile, *, has_ca: bool) -> None:
        if f"{_TLS}.client_auth_type" in self.failed:
            return
        policy = file.client_auth_type
        if policy is ClientAuth.NONE and has_ca:
            hint = f"set client_auth_type: {ClientAuth.REQUIRE_AND_VERIFY}"
            self.add((_TLS, "client_ca_file"), "is given, and no client is asked for a certificate", hint)
        if (
            policy is not ClientAuth.NONE
            and not has_ca
            and not self.failed & {f"{_TLS}.client_ca", f"{_TLS}.client_ca_file"}
        ):
            self.add((_TLS, "client_auth_type"), f"{policy} needs a client_ca_file to verify with")
        if file.client_allowed_sans is not None and policy is not ClientAuth.REQUIRE_AND_VERIFY:
            hint = f"set client_auth_type: {ClientAuth.REQUIRE_AND_VERIFY}"
            self.add((_TLS, "client_allowed_sans"), "lets in whoever sends no certificate", hint)

    def algorithms(self, file: TlsFile) -> None:
        if file.min_version > file.max_version:
            self.add((_TLS, "min_version"), f"is above max_version {file.max_version}")
        older = [name for name in file.cipher_suites if name in TLS12_SUITES]
        if file.cipher_suites and not older and file.min_version == "TLS12":
            self.add((_TLS, "cipher_suites"), "names no suite of TLS 1.2", "add one, or set min_version: TLS13")
        if len(file.curve_preferences) > 1:
            hint = "name one, or leave it out for OpenSSL's own order"
            self.add(
                (_TLS, "curve_preferences"), "names more than one: Python's ssl can be held to one or to none", hint
            )

    # -- HTTP --------------------------------------------------------------------------------------

    def users(self, hashes: Mapping[str, Secret]) -> Users | None:
        for name, stored in hashes.items():
            if ":" in name or not name:
                self.add((_USERS, name), "is not a name that basic authentication can carry", "leave out the colon")
            if not is_usable(stored):
                self.add((_USERS, name), "is not a bcrypt hash that can be compared with")
        if hashes:
            self.note_mode(self.path)
        return Users(hashes) if hashes else None

    def headers(self, file: WebFile, *, has_tls: bool) -> Mapping[str, str]:
        given = file.http_server_config.headers
        for name, value in given.items():
            if message := header_problem(name, value):
                self.add(("http_server_config", "headers", name), message)
        if given.get(_HSTS) and not has_tls:
            self.notes.append(f"{_HSTS} is left out without tls_server_config: browsers ignore it there")
        return {name.lower(): value for name, value in given.items() if value}

    def rate(self, file: WebFile) -> Rate | None:
        rate = file.rate_limit
        if not rate.interval or "rate_limit.burst" in self.failed:
            return None
        if rate.burst < 1:
            self.add(("rate_limit", "burst"), "lets no request in", "give a burst of 1 or more, or interval: 0")
        return Rate(rate.interval, rate.burst)
