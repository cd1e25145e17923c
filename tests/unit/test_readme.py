"""What README, SECURITY and docs say about names, links, commands and tests holds. The README's report is a paste."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from dbwatch.bundled import bundled
from dbwatch.catalogue import load_catalogue
from dbwatch.catalogue.file import LevelsFile
from dbwatch.cli.app import app
from dbwatch.config import load_config
from dbwatch.config.schema import (
    ChecksFile,
    ConfigFile,
    DatabasesFile,
    ExpectFile,
    IgnoreFile,
    MachineFile,
    TargetFile,
    TlsFile,
)
from dbwatch.engines.postgres.grants import grants_script

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
TESTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_closed_on_a_line_of_its_own(page: Path) -> None:
    """Else the text behind it is shown as code, up to the end of the next block."""
    fences = [line for line in page.read_text().splitlines() if "```" in line]
    assert [line for line in fences[1::2] if line != "```"] == []
    assert all(re.fullmatch("```[a-z]*", line) for line in fences[::2])
    assert len(fences) % 2 == 0


def test_every_check_stands_in_the_row_of_its_group() -> None:
    for check in load_catalogue([bundled("checks")]):
        link = f"[`{check.name}`](docs/checks/{check.engine}/{check.name}.md)"
        assert [line for line in README.splitlines() if f" | {check.group} | " in line and link in line], check.name


def test_the_grants_are_those_the_command_prints() -> None:
    assert grants_script("dbwatch") in "".join(blocks("sql"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = set(re.findall(r"\]\(([^)#:]+)", page.read_text()))
    assert sorted(link for link in links if not (page.parent / link).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+?)_?)?…?`", page.read_text())
    assert [path for path, _ in named if not (ROOT / path).is_file()] == []
    assert [name for path, name in named if name and f"def {name}" not in TESTS[path]] == []


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


@pytest.mark.parametrize("name", ["backups", "configuration", "host", "profiles"])
def test_so_are_those_of_the_other_pages(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_UID", "d3adb33f")
    page = (ROOT / "docs" / f"{name}.md").read_text()
    every = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    examples = [text for text in every if "targets:" in text]
    assert examples
    own = tmp_path / "my-checks" / "postgres"
    own.mkdir(parents=True)
    for text in every:
        if text.startswith("summary:"):
            (own / "orders_waiting.yaml").write_text(text)
    assert len(list(own.iterdir())) == (name == "configuration")
    for number, text in enumerate(examples):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert load_config(path).targets


def test_every_key_of_the_configuration_is_explained() -> None:
    """Those of a backup's sources are in backups.md."""
    page = (ROOT / "docs" / "configuration.md").read_text()
    models = (
        ConfigFile,
        TargetFile,
        ChecksFile,
        DatabasesFile,
        ExpectFile,
        IgnoreFile,
        LevelsFile,
        MachineFile,
        TlsFile,
    )
    keys = {key for model in models for key in model.model_fields}
    assert sorted(key for key in keys if f"`{key}`" not in page) == []
    explained = {
        key for line in page.splitlines() for key in re.findall(r"`(\w+)`", line.split(" | ")[0]) if "|" in line
    }
    assert sorted(explained - keys) == []
