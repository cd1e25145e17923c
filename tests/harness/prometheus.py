"""A real Prometheus that scrapes and evaluates every second, to ask what a user's Prometheus would answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from tests.harness.binaries import program
from tests.harness.http_program import HttpProgram
from tests.harness.waiting import eventually


class Prometheus(HttpProgram):
    """`with Prometheus(["127.0.0.1:10187"], rule_files=[path]) as prometheus:`.

    A target is `host:port`, `host:port/path`, or a whole scrape_config as a mapping.
    """

    def __init__(
        self,
        scrape_targets: Sequence[str | Mapping[str, Any]],
        *,
        rule_files: Sequence[Path] = (),
        interval: str = "1s",
    ) -> None:
        super().__init__("prometheus", program("prometheus"))
        self.config: dict[str, Any] = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": [str(path) for path in rule_files],
            "scrape_configs": [_scrape_config(n, target) for n, target in enumerate(scrape_targets)],
        }

    def start(self, *, timeout: float = 30.0) -> Self:
        config = self.dir / "prometheus.yml"
        config.write_text(yaml.safe_dump(self.config))
        storage = f"--storage.tsdb.path={self.dir / 'data'}"
        return self.run([f"--config.file={config}", storage], timeout=timeout)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """An instant query; each result has `metric` (labels) and `value` ([time, "number"])."""
        result: list[dict[str, Any]] = self.api("query", query=expr)["result"]
        return result

    def value(self, expr: str) -> float | None:
        """The one number of an instant query, or None when it has no result."""
        result = self.query(expr)
        if len(result) > 1:
            raise ValueError(f"{expr} has {len(result)} results, not one: {result}")
        return float(result[0]["value"][1]) if result else None

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts pending or firing now."""
        alerts: list[dict[str, Any]] = self.api("alerts")["alerts"]
        return alerts

    def targets(self) -> list[dict[str, Any]]:
        """The scrape targets with `health` and `lastError`."""
        targets: list[dict[str, Any]] = self.api("targets")["activeTargets"]
        return targets

    def wait_scraped(self, *, timeout: float = 20.0) -> None:
        """Until every target has been scraped well."""
        eventually(
            lambda: {target["health"] for target in self.targets()} == {"up"},
            timeout=timeout,
            what=f"all of {self.config['scrape_configs']} scraped",
        )

    def api(self, name: str, **params: str) -> Any:
        """`data` of an answer of /api/v1; ValueError with Prometheus' own words when it is an error."""
        answer = httpx.get(f"{self.root}/api/v1/{name}", params=params, timeout=10, trust_env=False)
        document = answer.json()
        if document["status"] != "success":
            raise ValueError(f"{name} {params}: {document.get('error')}")
        return document["data"]


def _scrape_config(number: int, target: str | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(target, str):
        return dict(target)
    address, slash, path = target.partition("/")
    return {
        "job_name": f"job{number}",
        "metrics_path": slash + path or "/metrics",
        "static_configs": [{"targets": [address]}],
    }
