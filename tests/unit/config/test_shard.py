"""Shards of one configuration: nothing twice, nothing left out, nothing moved without need."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbwatch.catalogue import Catalogue
from dbwatch.config import Config, Target
from dbwatch.config.backups import Backups
from dbwatch.config.host_place import HostPlace
from dbwatch.config.shard import TOGETHER, Shard
from dbwatch.errors import ConfigError
from dbwatch.model import Engine

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), unique=True, max_size=40)
COUNTS = st.integers(1, 12)
FOUR = {"orders": [2], "cache": [1], "shop": [2], "stock": [3]}


def target(name: str, cluster: str | None = None) -> Target:
    return Target(name, Engine.POSTGRES, labels={TOGETHER: cluster} if cluster is not None else {})


def parts(targets: Iterable[Target], count: int) -> list[list[str]]:
    """The names of each shard's targets."""
    config = Config(tuple(targets), Catalogue({}), "test")
    return [[each.name for each in Shard(index, count).of(config).targets] for index in range(count)]


def owners(names: list[str], count: int) -> dict[str, list[int]]:
    found = parts(map(target, names), count)
    return {name: [index for index, part in enumerate(found) if name in part] for name in names}


@settings(max_examples=50)
@given(NAMES, COUNTS)
def test_every_target_is_watched_by_exactly_one_shard(names: list[str], count: int) -> None:
    assert sorted(itertools.chain.from_iterable(parts(map(target, names), count))) == sorted(names)


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
    assert sorted(map(len, parts(nodes, 6))) == [0, 0, 0, 0, 0, 20]


def test_what_tells_a_server_something_is_where_the_server_is() -> None:
    """Volumes and backups are told from target to target in the memory of one daemon."""
    plain = [target(f"db-{number}", "orders" if number < 3 else None) for number in range(30)]
    alone = owners([node.name for node in plain[3:]], 6)
    machines = [
        Target(f"machine-{number}", Engine.HOST, place=HostPlace(of=(f"db-{number}", f"db-{number + 1}")))
        for number in (2, 10, 11)
    ]
    dumps = [
        Target(f"dumps-{number}", Engine.BACKUP, backups=Backups(server=f"db-{number}")) for number in (0, 12, 20, 21)
    ]
    for count in (2, 6, 7):
        found = parts([*machines, *plain, *dumps], count)
        assert sorted(itertools.chain.from_iterable(found)) == sorted(each.name for each in (*machines, *plain, *dumps))
        where = {name: index for index, part in enumerate(found) for name in part}
        for names in (
            ("db-0", "db-1", "db-2", "db-3", "machine-2", "dumps-0"),
            ("db-10", "db-11", "db-12", "machine-10", "machine-11", "dumps-12"),
            ("db-20", "dumps-20"),
            ("db-21", "dumps-21"),
        ):
            assert len({where[name] for name in names}) == 1, names
    where = {name: index for index, part in enumerate(parts([*machines, *plain, *dumps], 6)) for name in part}
    unmoved = [name for name in alone if alone[name] == [where[name]]]
    assert {"db-20", "db-21", "db-29"} <= set(unmoved), "what is told of one server moves none"


@pytest.mark.parametrize("text", ["", "1", "3/3", "-1/3", "0/0", "1/2/3", "a/b", "01/3", "1/ 3", "٠/٣", "0/9999"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--shard"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read() -> None:
    assert Shard.parse("2/3") == Shard(2, 3)
    assert str(Shard.parse("0/1000")) == "0/1000"
