"""Owns the warnings we can give about a check's SQL before any server sees it. Knows no driver.

The real gate is the guarded run: one sub-query in a read-only transaction. This lint only moves the plain mistakes
(several statements, functions that act on others) from run time to `dbwatch validate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dbwatch.errors import Problem

if TYPE_CHECKING:
    from dbwatch.strictyaml import Document, KeyPath

_LITERALS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_ACTIONS = re.compile(
    r"\b(pg_terminate_backend|pg_cancel_backend|pg_reload_conf|pg_rotate_logfile|pg_promote|pg_switch_wal"
    r"|pg_stat_reset\w*|pg_stat_statements_reset|pg_create_\w+|pg_drop_\w+|pg_advisory_\w+|pg_try_advisory_\w+"
    r"|lo_\w+|dblink\w*|set_config|nextval|setval|pg_read_file|pg_read_binary_file|pg_sleep\w*)\s*\("
)
_NOT_IN = re.compile(r"\bnot\s+in\s*\(\s*select\b")


def sql_problems(document: Document, path: KeyPath, sql: str) -> Iterator[Problem]:
    """The problems of one SQL text, which stands at `path`."""
    bare = _LITERALS.sub(" ", sql).strip().lower()
    if ";" in bare:
        yield document.problem(path, "holds a semicolon", "a check is one query, without a semicolon")
    if not re.match(r"(select|with|values|table)\b|\(", bare):
        yield document.problem(path, "does not start with select, with, values or table")
    for match in _ACTIONS.finditer(bare):
        yield document.problem(path, f"calls {match.group(1)}(), which acts on the server", "a check only looks")
    if _NOT_IN.search(bare):
        yield document.problem(path, "uses NOT IN (select …), which one NULL empties", "use not exists")
