"""How much of a core a server may spend on us: half a percent, unless somebody says otherwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dbwatch.config import Config
from dbwatch.errors import ConfigError

Load = Callable[..., Config]


@pytest.mark.parametrize(
    ("defaults", "own", "wanted"),
    [
        ("{}", "", 0.005),
        ("{budget: 1%}", "", 0.01),
        ("{budget: 1%}", ", budget: 2.5 %", 0.025),
        ("{budget: false}", "", None),
        ("{budget: 1%}", ", budget: 'off'", None),
        ("{budget: false}", ", budget: 100%", 1.0),
    ],
)
def test_where_it_comes_from(load: Load, defaults: str, own: str, wanted: float | None) -> None:
    text = f"defaults: {defaults}\ntargets:\n  - {{name: a, engine: postgres, host: h{own}}}\n"
    (settled,) = load(text).targets
    assert settled.budget == wanted


@pytest.mark.parametrize("given", ["0.5", "101%", "0%", "-1%", "true", "half", "''"])
def test_what_is_no_share_is_refused(load: Load, given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"targets:\n  - {{name: a, engine: postgres, host: h, budget: {given}}}\n")
    assert "targets[0].budget" in str(caught.value)


def test_a_backup_has_no_server_to_spare(load: Load) -> None:
    (settled,) = load("targets:\n  - {name: a, engine: backup, dumps: {path: /backups}}\n").targets
    assert settled.budget is None
