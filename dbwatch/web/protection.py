"""Owns which settings hold now, and following the files they come from. Knows neither connections nor requests.

The files are looked at every second, in a thread of their own: a handshake never waits for a disk. What changed is read
once it has stood still for one look, so that a half-written file, or a certificate whose key is still on its way, is
not taken for the new state. What cannot be used changes nothing.
"""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from dbwatch.errors import ConfigError
from dbwatch.web.asked import Loaded, Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
_Seen: TypeAlias = Mapping[Path, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Reading:
    """Settings that could be in force, and the state of the files that they were read from."""

    settings: Settings
    seen: _Seen


class Protection:
    """`current` is what new connections and requests follow. Without a file it asks nothing of anybody, for good."""

    def __init__(self, path: Path | None = None, told: Callable[[bool], None] = lambda _: None) -> None:
        """Raises ConfigError with every problem. `told` hears whether what was found changed later could be used."""
        self.current = Settings()
        self._path = path
        self._told = told
        self._tried: _Seen = {}
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.adopt(self.read())

    def read(self) -> Reading:
        """What the files say now, not yet in force. Raises ConfigError with every problem."""
        if self._path is None:
            return Reading(self.current, {})
        loaded, seen = self._load(self._path)
        if loaded.settings is None:
            raise ConfigError(loaded.problems)
        return Reading(loaded.settings, seen)

    def adopt(self, reading: Reading) -> None:
        """Put it in force for every connection and request from now on."""
        for note in reading.settings.notes:
            if note not in self.current.notes:
                log.warning("web config", note=note)
        self.current = reading.settings
        self._tried = reading.seen

    def start(self) -> None:
        """Follow the files until `stop()`."""
        if self._path is None:
            return
        self._thread = threading.Thread(target=self._follow, args=(self._path,), name="dbwatch-web-files", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join(LOOK_SECONDS)

    def _load(self, path: Path) -> tuple[Loaded, _Seen]:
        # Looked at before they are read: what changes meanwhile is found at the next look.
        before = _look(self._tried)
        # Imported where there is a file to be read: it takes pydantic, YAML and bcrypt, which most daemons need not.
        from dbwatch.web.settings import load_settings

        loaded = load_settings(path)
        # A reading that failed may not have come to the files that the one in force was made of.
        files = loaded.files if loaded.settings is not None else (*loaded.files, *before)
        return loaded, {**_look(files), **{file: before[file] for file in files if file in before}}

    def _follow(self, path: Path) -> None:
        before = self._tried
        while not self._ending.wait(LOOK_SECONDS):
            now = _look(self._tried)
            if now == before and now != self._tried:
                self._renew(path, [str(file) for file in now if now[file] != self._tried.get(file)])
                now = self._tried
            before = now

    def _renew(self, path: Path, changed: list[str]) -> None:
        try:
            loaded, seen = self._load(path)
            if loaded.settings is not None:
                self.adopt(Reading(loaded.settings, seen))
                log.info("web config taken", changed=changed)
            else:
                self._tried = seen
                log.error("web config rejected", changed=changed, problems=[str(each) for each in loaded.problems])
            self._told(loaded.settings is not None)
        except Exception:
            log.exception("web config not read", changed=changed)
            self._tried = _look(self._tried)
            self._told(False)


def exposure(settings: Settings, host: str) -> str | None:
    """What somebody who listens on an address that is not this machine's own should know."""
    try:
        is_own = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_own = host == "localhost"
    if is_own:
        return None
    if settings.users is None and not settings.verifies_clients:
        return (
            "whoever reaches this port may read everything: --web.config.file can ask for a password or a certificate"
        )
    if settings.users is not None and settings.tls is None:
        return "passwords come in as clear text: add tls_server_config, unless a proxy on this machine does TLS"
    return None


def _look(files: Iterable[Path]) -> _Seen:
    return {file: _state(file) for file in files}


def _state(file: Path) -> tuple[int, ...]:
    try:
        found = os.stat(file)  # noqa: PTH116 - as Path.stat, which follows links too: a mounted secret is one
    except OSError as error:
        return (error.errno or 0,)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
