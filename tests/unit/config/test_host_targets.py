"""What a target of `engine: host` may say, and what it may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dbwatch.config import Config, HostPlace
from dbwatch.errors import ConfigError

Load = Callable[..., Config]
ROOT = Path(__file__).resolve().parents[3]
ORDERS = "targets:\n  - {name: orders, engine: postgres, host: h}\n"


def test_a_machine_its_volumes_and_its_servers(load: Load) -> None:
    config = load(
        ORDERS
        + "  - {name: box, engine: host, root: /host, cgroup: db/*, of: orders,"
        + " volumes: {data: /var/lib/postgresql, back-up: /srv/backup}}\n"
        + "  - {name: bare, engine: host}\n"
    )
    box, bare = config.targets[1:]
    volumes = {"data": Path("/var/lib/postgresql"), "back-up": Path("/srv/backup")}
    assert box.place == HostPlace(Path("/host"), volumes, "db/*", ("orders",))
    assert box.place.below(Path("/srv/backup")) == Path("/host/srv/backup")
    assert (box.address, bare.address) == ("the machine at /host", "this machine")
    assert bare.place == HostPlace()
    assert box.budget is None, "a machine spends no time of a server's"


def test_the_examples_of_the_page_load(load: Load) -> None:
    blocks = re.findall(r"```yaml\n(targets:.*?)```", (ROOT / "docs" / "host.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    whole = load(blocks[0] + blocks[1].removeprefix("targets:\n"), {"POD_UID": "0a1b-2c3d"})
    assert whole.targets[1].place.of == ("orders",)
    assert whole.targets[2].place.cgroup == "kubepods.slice/*/*pod0a1b-2c3d*"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("engine: host, url: redis://h", "a host target has no server: it takes `volumes`, `root`, `cgroup` and `of`"),
        ("engine: host, machine: {cpus: 4}", "a host target has no server"),
        ("engine: host, of: [orders, crm]", "of: crm is no server of this file"),
        ("engine: host, of: box", "of: box is no server of this file"),
        ("engine: host, volumes: {data: var/lib}", "volumes.data: var/lib is not an absolute path of the machine"),
        ("engine: host, volumes: {data: /a/../b}", "volumes.data: /a/../b is not an absolute path of the machine"),
        ("engine: host, volumes: {Data: /a}", "volumes.Data: string should match pattern"),
        ("engine: host, root: host", "root: host is not an absolute path of the machine"),
        ("engine: redis, host: h, volumes: {data: /a}", "`volumes` belongs to a target of its own with `engine: host`"),
        ("engine: redis, host: h, of: orders", "`of` belongs to a target of its own with `engine: host`"),
    ],
)
def test_a_mistake_is_named(load: Load, target: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(f"{ORDERS}  - {{name: box, {target}}}\n")
    assert problem in str(refused.value)
