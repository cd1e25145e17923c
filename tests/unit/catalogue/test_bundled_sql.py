"""SQL of ours is plain ASCII: where a database is not UTF-8 the server refuses other characters, even in a comment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue import load_catalogue
from dbwatch.model import Engine

ENGINE = Path(__file__).resolve().parents[3] / "dbwatch" / "engines" / "postgres"
MODULES = sorted(ENGINE.rglob("*.py"))


def test_sql_of_check_files_is_ascii() -> None:
    checks = load_catalogue([bundled("checks")]).of(Engine.POSTGRES)
    assert [check.name for check in checks if not all(sql.isascii() for sql in check.sql.values())] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_sql_of_probes_is_ascii(path: Path) -> None:
    assert [text for text in _sql(ast.parse(path.read_text())) if not text.isascii()] == []


def _sql(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = set(node.value.split())
            if words & {"select", "pg_catalog.format('…", "from"} and "pg_catalog." in node.value:
                yield node.value
