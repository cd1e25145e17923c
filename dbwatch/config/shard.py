"""Owns which of several daemons watches a target. Pure; knows no daemon, and needs no word from the others.

Each shard draws a lot for the target, and the highest takes it. So the shards cover every target exactly once, a new
target moves no other, and a shard more takes its share from all while nothing else moves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from dbwatch.config.settled import Config
from dbwatch.config.target import Target
from dbwatch.errors import ConfigError
from dbwatch.model import Engine

TOGETHER = "cluster"
"""The label whose targets stay together: the lag of a standby is read off its primary, and split brain off both."""
MOST_SHARDS = 1_000
_WRITTEN = re.compile(r"(0|[1-9][0-9]{0,3})/([1-9][0-9]{0,3})\Z")


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `count` daemons that share one configuration, from 0."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`0/3`, `1/3` or `2/3`. Raises ConfigError."""
        written = _WRITTEN.match(text)
        if written is None:
            raise ConfigError.of("--shard", f"{text!r} is not i/n", hint="0/3, 1/3 and 2/3 are three shards")
        index, count = int(written.group(1)), int(written.group(2))
        if count > MOST_SHARDS:
            raise ConfigError.of("--shard", f"{count} shards are too many", hint=f"at most {MOST_SHARDS}")
        if index >= count:
            raise ConfigError.of("--shard", f"there is no shard {index} of {count}", hint=f"0 to {count - 1}")
        return cls(index, count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, config: Config) -> Config:
        """The same configuration with this shard's targets alone."""
        keys = lot_keys(config.targets)
        return replace(config, targets=tuple(target for target in config.targets if self._takes(keys[target.name])))

    def _takes(self, key: str) -> bool:
        return max(range(self.count), key=lambda shard: _lot(shard, key)) == self.index


def lot_keys(targets: Iterable[Target]) -> Mapping[str, str]:
    """For what each target draws: its own name, or one that it shares with those that have something to tell it.

    The nodes of a cluster draw for the cluster, backups for their server, a machine for the servers on it.
    """
    own = {target.name: target.labels.get(TOGETHER, target.name) for target in targets}
    groups = {key: {key} for key in own.values()}
    for target in targets:
        for other in (*target.place.of, target.backups.server):
            if other in own:
                group = groups[own[target.name]] | groups[own[other]]
                groups.update(dict.fromkeys(group, group))
    servers = {own[target.name] for target in targets if target.engine not in (Engine.BACKUP, Engine.HOST)}
    return {name: min(groups[key] & servers or groups[key]) for name, key in own.items()}


def _lot(shard: int, key: str) -> bytes:
    return hashlib.blake2b(f"{shard}\0{key}".encode(), digest_size=8).digest()
