"""The product itself as its users run it: `dbwatch serve` in a process of its own, asked over HTTP."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from signal import SIGTERM, Signals
from typing import Any, Self

import httpx

from tests.harness import ports
from tests.harness.lifetime import Lifetime
from tests.harness.process import ServerProcess, remove_dir, server_dir
from tests.harness.waiting import eventually

NOT_INHERITED = ("DBWATCH_", "DATABASE_URL", "REDIS_URL", "PG")
"""Environment variables by their beginning that would change what the product does."""


class Daemon(Lifetime):
    """`with Daemon(config_text=yaml) as daemon:` runs until /healthz answers, and ends with SIGTERM.

    Without `config_text` it starts with no config file, on what `args` and `env` say. `prefix` is a program that runs
    it, such as `prlimit --nofile=64`.
    """

    def __init__(
        self,
        args: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        config_text: str | None = None,
        scheme: str = "http",
        client: Mapping[str, Any] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self._claim = ports.claim()
        self.port = self._claim.number
        self.dir = server_dir("daemon")
        self.config_path = self.dir / "dbwatch.yaml"
        self.log = self.dir / "stderr.log"
        self.stdout = self.dir / "stdout.log"
        self.args = tuple(args)
        self.prefix = tuple(prefix)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)},
            "PYTHONUNBUFFERED": "1",
            **(env or {}),
        }
        self.has_config = config_text is not None
        if config_text is not None:
            self.write_config(config_text)
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._options: dict[str, Any] = {"timeout": 10, "trust_env": False, **(client or {})}
        self._process: ServerProcess | None = None

    # -- life --------------------------------------------------------------------------------------

    def start(self, *, timeout: float = 20.0, wait: bool = True) -> Self:
        """Start; wait until /healthz answers 200 unless told not to."""
        config = ["--config", str(self.config_path)] if self.has_config else []
        listen = ["--web.listen-address", f"127.0.0.1:{self.port}"]
        self._process = ServerProcess(
            [*self.prefix, sys.executable, "-m", "dbwatch", "serve", *config, *listen, *self.args],
            log=self.log,
            stdout=self.stdout,
            env=self.env,
        )
        if wait:
            self._process.until("answers /healthz", lambda: self.answers("/healthz"), timeout)
        return self

    def stop(self, sig: Signals = SIGTERM, *, timeout: float = 15.0) -> int:
        """Signal it, wait, return its exit code. TimeoutError with its log when it does not end."""
        process = self.process
        if process.returncode is None:
            process.signal(sig)
        return process.wait(timeout)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill(SIGTERM, grace=10)
        remove_dir(self.dir)
        self._claim.release()

    @property
    def process(self) -> ServerProcess:
        if self._process is None:
            raise RuntimeError("the daemon was not started")
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.returncode

    def signal(self, sig: Signals) -> None:
        self.process.signal(sig)

    def write_config(self, text: str) -> None:
        """Replace the config file, whole; the daemon takes it at its next SIGHUP."""
        new = self.config_path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self.config_path)

    # -- HTTP --------------------------------------------------------------------------------------

    def get(self, path: str, accept: str | None = None, *, method: str = "GET", **options: Any) -> httpx.Response:
        """One request on a connection of its own; `options` are httpx's."""
        headers = {**({"Accept": accept} if accept else {}), **options.pop("headers", {})}
        with httpx.Client(base_url=self.url, **self._options) as client:
            return client.request(method, path, headers=headers, **options)

    def answers(self, path: str) -> bool:
        """Whether `path` answers 200 now."""
        try:
            return self.get(path, timeout=2).is_success
        except httpx.TransportError:
            return False

    def wait_ready(self, *, timeout: float = 30.0) -> None:
        """Until /readyz: the config is loaded and every target has had its first pass."""
        self.process.until("answers /readyz", lambda: self.answers("/readyz"), timeout)

    def metrics(self) -> str:
        return self.get("/metrics").raise_for_status().text

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = self.get("/api/v1/status").raise_for_status().json()
        return document

    def wait_metric(self, line: str, *, timeout: float = 20.0) -> None:
        """Until `line` (`name{labels} value`) stands on /metrics exactly so."""
        eventually(lambda: line in self.metrics().splitlines(), timeout=timeout, every=0.1, what=f"metric {line}")

    # -- logs --------------------------------------------------------------------------------------

    def log_lines(self) -> list[str]:
        """What it wrote to stderr so far."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

    def log_events(self) -> list[dict[str, Any]]:
        """The lines of stderr that are JSON objects, for a daemon that logs so."""
        events = (json.loads(line) for line in self.log_lines() if line.startswith("{"))
        return [event for event in events if isinstance(event, dict)]

    def stdout_text(self) -> str:
        return self.stdout.read_text(encoding="utf-8", errors="replace")
