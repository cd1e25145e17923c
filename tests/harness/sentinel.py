"""A real Sentinel on loopback that watches a primary, patient with a machine that stands still for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from tests.harness.redis import RedisServer

WATCHED = "main"
"""The name under which it watches the primary."""


class Sentinel(RedisServer):
    """`with Sentinel(primary) as sentinel:`. `config` is what sentinel.conf would hold besides.

    It has no other Sentinel to hear from. What one would say can be said by `PUBLISH __sentinel__:hello`: its address,
    port, run id and epoch, the name, the primary's address and port, the configuration epoch, joined by commas.
    """

    arguments = ("--sentinel",)

    def __init__(self, primary: RedisServer, *, config: Mapping[str, str] | None = None) -> None:
        watching = {
            "sentinel monitor": f"{WATCHED} 127.0.0.1 {primary.port} 1",
            "sentinel down-after-milliseconds": f"{WATCHED} 60000",
        }
        super().__init__(primary.kind, config={**watching, **(config or {})})

    def start(self, *, timeout: float = 20.0, wait: bool = True) -> Self:
        super().start(timeout=timeout, wait=wait)
        if wait and self.kind != "redis-6.2":
            self.command("SENTINEL", "DEBUG", "tilt-trigger", "60000")  # else two seconds, and then it rests for thirty
        return self
