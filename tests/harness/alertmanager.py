"""A real Alertmanager, to ask which alerts it would keep to itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import httpx
import yaml

from tests.harness.binaries import program
from tests.harness.http_program import HttpProgram


class Alertmanager(HttpProgram):
    """`with Alertmanager({"inhibit_rules": [...]}) as alertmanager:`; nobody is notified unless the config says so."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__("alertmanager", program("alertmanager"))
        self.config = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}], **config}

    def start(self, *, timeout: float = 30.0) -> Self:
        path = self.dir / "alertmanager.yml"
        path.write_text(yaml.safe_dump(self.config), encoding="utf-8")
        storage = f"--storage.path={self.dir / 'data'}"
        return self.run([f"--config.file={path}", storage, "--cluster.listen-address="], timeout=timeout)

    def post(self, alerts: Iterable[Mapping[str, str]]) -> None:
        """Alerts by their labels, firing from now on."""
        document = [{"labels": dict(labels)} for labels in alerts]
        httpx.post(f"{self.root}/api/v2/alerts", json=document, timeout=10, trust_env=False).raise_for_status()

    def alerts(self) -> list[dict[str, Any]]:
        """What it knows, each with `labels` and `status`."""
        answer = httpx.get(f"{self.root}/api/v2/alerts", timeout=10, trust_env=False).raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found
