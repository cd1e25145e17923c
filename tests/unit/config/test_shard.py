"""Shards of one configuration: nothing twice, nothing left out, nothing moved without need."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbwatch.catalogue import Catalogue
from dbwatch.config import Config, Target
from dbwatch.config.shard import TOGETHER, Shard
from dbwatch.errors import ConfigError
from dbwatch.model import Engine

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), unique=True, max_size=40)
COUNTS = st.integers(1, 12)
FOUR = {"orders": [2], "cache": [1], "shop": [2], "stock": [3]}


def target(name: str, cluster: str | None = None) -> Target:
    return Target(name, Engine.POSTGRES, labels={TOGETHER: cluster} if cluster is not None else {})


def owners(names: list[str], count: int) -> dict[str, list[int]]:
    shards = [Shard(index, count) for index in range(count)]
    return {name: [shard.index for shard in shards if shard.takes(target(name))] for name in names}


@settings(max_examples=50)
@given(NAMES, COUNTS)
def test_every_target_is_watched_by_exactly_one_shard(names: list[str], count: int) -> None:
    config = Config(tuple(target(name) for name in names), Catalogue({}), "test")
    parts = [Shard(index, count).of(config).targets for index in range(count)]
    assert sorted(each.name for part in parts for each in part) == sorted(names)


@settings(max_examples=50)
@given(NAMES, COUNTS)
def test_one_shard_more_takes_from_the_others_and_moves_nothing_between_them(names: list[str], count: int) -> None:
    before, after = owners(names, count), owners(names, count + 1)
    assert all(after[name] in (before[name], [count]) for name in names)


def test_a_new_target_moves_no_other() -> None:
    names = [f"orders-{number}" for number in range(200)]
    assert owners([*names, "new"], 5).items() >= owners(names, 5).items()


def test_the_shards_have_about_as_many_targets_each() -> None:
    sizes = Counter(owner for (owner,) in owners([f"db{number}" for number in range(2_000)], 8).values())
    assert set(sizes) == set(range(8))
    assert max(sizes.values()) < 1.3 * min(sizes.values())


def test_where_a_target_belongs_does_not_change_from_release_to_release() -> None:
    """Daemons of two releases side by side, as in a rollout, would watch it twice or not at all."""
    assert owners(["orders", "cache", "shop", "stock"], 4) == FOUR


def test_the_nodes_of_a_cluster_stay_together() -> None:
    nodes = [target(f"node-{number}", "orders") for number in range(20)]
    assert len({shard for shard in range(6) for node in nodes if Shard(shard, 6).takes(node)}) == 1


@pytest.mark.parametrize("text", ["", "1", "3/3", "-1/3", "0/0", "1/2/3", "a/b", "01/3", "1/ 3", "٠/٣", "0/9999"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--shard"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read() -> None:
    assert Shard.parse("2/3") == Shard(2, 3)
    assert str(Shard.parse("0/1000")) == "0/1000"
