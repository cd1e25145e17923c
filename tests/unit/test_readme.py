"""The README's claims about names, links and commands hold; its report is a paste and is only checked for its words."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from dbwatch.bundled import bundled
from dbwatch.catalogue import load_catalogue
from dbwatch.cli.app import app
from dbwatch.engines.postgres.grants import grants_script

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_check_stands_in_the_row_of_its_group() -> None:
    for check in load_catalogue([bundled("checks")]):
        link = f"[`{check.name}`](docs/checks/{check.engine}/{check.name}.md)"
        assert [line for line in README.splitlines() if f" | {check.group} | " in line and link in line], check.name


def test_the_grants_are_those_the_command_prints() -> None:
    assert grants_script("dbwatch") in "".join(blocks("sql"))


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_every_command_exists() -> None:
    known = typer.main.get_command(app)
    commands = getattr(known, "commands", {})
    lines = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ dbwatch ")]
    assert len(lines) >= 6
    for line in lines:
        words = shlex.split(line.split("#")[0])
        options = {option for param in commands[words[1]].params for option in param.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_the_configuration_is_one_that_loads(tmp_path: Path) -> None:
    from dbwatch.config import load_config

    (text,) = blocks("yaml")
    path = tmp_path / "dbwatch.yaml"
    path.write_text(text)
    assert [target.name for target in load_config(path).targets] == [
        "orders",
        "cache",
        "pooler",
        "orders-backup",
        "box",
    ]
