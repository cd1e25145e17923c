"""A real Alertmanager, to ask which alerts it would keep to itself."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from typing import Any, Self

import httpx
import yaml

from tests.harness import ports
from tests.harness.binaries import program
from tests.harness.lifetime import Lifetime
from tests.harness.process import ServerProcess, remove_dir, server_dir


class Alertmanager(Lifetime):
    """`with Alertmanager({"inhibit_rules": [...]}) as alertmanager:`; nobody is notified unless the config says so."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._program = program("alertmanager")
        self._claim = ports.claim()
        self.port = self._claim.number
        self.dir = server_dir("alertmanager")
        self.log = self.dir / "server.log"
        self.config = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}], **config}
        self._process: ServerProcess | None = None

    def start(self, *, timeout: float = 30.0) -> Self:
        path = self.dir / "alertmanager.yml"
        path.write_text(yaml.safe_dump(self.config), encoding="utf-8")
        self._process = ServerProcess(
            [
                self._program,
                f"--config.file={path}",
                f"--storage.path={self.dir / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--cluster.listen-address=",
            ],
            log=self.log,
        )
        self._process.until("is ready", self._ready, timeout)
        return self

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill(signal.SIGTERM)
        remove_dir(self.dir)
        self._claim.release()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, alerts: Iterable[Mapping[str, str]]) -> None:
        """Alerts by their labels, firing from now on."""
        document = [{"labels": dict(labels)} for labels in alerts]
        httpx.post(f"{self.url}/api/v2/alerts", json=document, timeout=10, trust_env=False).raise_for_status()

    def alerts(self) -> list[dict[str, Any]]:
        """What it knows, each with `labels` and `status`."""
        answer = httpx.get(f"{self.url}/api/v2/alerts", timeout=10, trust_env=False).raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2, trust_env=False).is_success
        except httpx.TransportError:
            return False
