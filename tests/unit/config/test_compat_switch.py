"""Who is asked for the compatibility pages: everybody, but for the profile minimal and where it is turned off."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbwatch.config import load_config


@pytest.mark.parametrize(
    ("defaults", "target", "wanted"),
    [
        ("{}", "", True),
        ("{compat: false}", "", False),
        ("{compat: false}", ", compat: true", True),
        ("{}", ", compat: false", False),
        ("{}", ", profile: minimal", False),
        ("{profile: minimal}", "", False),
        ("{profile: minimal}", ", profile: standard", True),
        ("{}", ", profile: minimal, compat: true", True),
        ("{compat: true}", ", profile: minimal", True),
        ("{}", ", profile: deep", True),
    ],
)
def test_the_switch(tmp_path: Path, defaults: str, target: str, wanted: bool) -> None:
    path = tmp_path / "dbwatch.yaml"
    path.write_text(
        f"defaults: {defaults}\ntargets:\n  - {{name: a, engine: postgres, url: 'postgresql://h/d'{target}}}\n"
    )
    (settled,) = load_config(path).targets
    assert settled.compat is wanted
