"""Owns `${NAME}` and `!file` in a config file, and reading the small files that values come from. Knows no schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dbwatch.errors import Problem
from dbwatch.strictyaml import Document, KeyPath, Node

_ENV = re.compile(r"\$\{([^}]*)\}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_LARGEST_FILE = 64 * 1024


def read_small(path: Path) -> str:
    """The text of a file that holds one value. Raises ValueError saying what is wrong, never what is in it."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is not a path"
        raise ValueError(f"{path} cannot be read: {reason}") from None
    if len(raw) > _LARGEST_FILE:
        raise ValueError(f"{path} is larger than {_LARGEST_FILE // 1024} KiB")
    try:
        return raw.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None


class Interpolation:
    """Replaces `${NAME}` and `!file path` in every value of a document, collecting problems."""

    def __init__(self, document: Document, base: Path, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.failed: set[KeyPath] = set()
        self._document = document
        self._base = base
        self._environ = environ
        self.data = self._replaced(document.data, ())

    def _replaced(self, node: Node, path: KeyPath) -> Node:
        if isinstance(node, list):
            return [self._replaced(item, (*path, position)) for position, item in enumerate(node)]
        if isinstance(node, dict):
            if set(node) == {"!file"}:
                return self._file(str(node["!file"]), path)
            return {key: self._replaced(item, (*path, key)) for key, item in node.items()}
        if not isinstance(node, str) or "${" not in node:
            return node
        return _ENV.sub(lambda match: self._variable(match.group(1), path), node)

    def _file(self, name: str, path: KeyPath) -> Node:
        try:
            return read_small(self._base / name)
        except ValueError as error:
            self._fail(path, str(error))
            return ""

    def _variable(self, name: str, path: KeyPath) -> str:
        if not _ENV_NAME.match(name):
            self._fail(path, f"${{{name}}} is not an environment variable", "write ${NAME}")
        elif name not in self._environ:
            self._fail(path, f"the environment variable {name} is not set")
        return self._environ.get(name, "")

    def _fail(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        self.failed.add(path)
        self.problems.append(self._document.problem(path, message, hint))
