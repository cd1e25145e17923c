"""Owns the life of a program of others that answers over HTTP: its port, its folder, its start and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx

from tests.harness import ports
from tests.harness.lifetime import Lifetime
from tests.harness.process import ServerProcess, remove_dir, server_dir


class HttpProgram(Lifetime):
    """Takes its address as `--web.listen-address`; `start` of each says `run` with the other arguments."""

    def __init__(self, name: str, program: Path, *, ready: str = "/-/ready") -> None:
        self._program = program
        self._ready = ready
        self._claim = ports.claim()
        self.port = self._claim.number
        self.dir = server_dir(name)
        self.log = self.dir / "server.log"
        self._process: ServerProcess | None = None

    def run(self, arguments: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None) -> Self:
        """Start it and wait until its page `ready` answers 200."""
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        self._process = ServerProcess([self._program, listen, *arguments], log=self.log, env=env)
        self._process.until(f"answers {self._ready}", self._is_ready, timeout)
        return self

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
        remove_dir(self.dir)
        self._claim.release()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self._program.name} was not started")
        return self._process.pid

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.root}{self._ready}", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False
