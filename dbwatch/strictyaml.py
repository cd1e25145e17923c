"""Owns reading YAML without surprises: every node keeps its line, nothing is guessed. Knows no schema.

PyYAML alone keeps the last of duplicate keys, turns `on` into a boolean, `1:30` into 90 and `010` into 8, and
recurses on deep input. This reader walks PyYAML's event stream with its own stack and refuses all of that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeAlias

import yaml

from dbwatch.errors import ConfigError, Problem

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32

Scalar: TypeAlias = str | int | float | bool | None
Node: TypeAlias = "Scalar | list[Node] | dict[str, Node]"
KeyPath: TypeAlias = tuple[str | int, ...]
_Loader: TypeAlias = type[yaml.SafeLoader] | type[yaml.CSafeLoader]

# libyaml reads a catalogue ten times as fast; a PyYAML built without it has its own parser alone.
_FAST_LOADER: _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?\Z")
_LONGEST_INT = 18
_UNSAYABLE = re.compile("[\x00\ud800-\udfff]")
_SURPRISES = (
    (
        re.compile(r"(?i)(yes|no|on|off|y|n)\Z"),
        "is a boolean to some YAML readers and a word to others",
        "write true or false, or quote the word",
    ),
    (
        re.compile(r"(?i)(true|false|null)\Z"),
        "is a word to some YAML readers and not to others",
        "write it in lower case or quote it",
    ),
    (re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?\Z"), "is a base-60 number to some YAML readers", "quote it"),
    (
        re.compile(r"[-+]?0[0-9_]+\Z|[-+]?0[xob][0-9a-fA-F_]+\Z"),
        "is an octal or hexadecimal number to some YAML readers",
        "write it in decimal or quote it",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?\Z"),
        "is a number to some YAML readers and a word to others",
        "leave out the _ or quote it",
    ),
    (
        re.compile(r"(?i)[-+]?\.(inf|nan)\Z"),
        "is a number to some YAML readers",
        "write a finite number or quote it",
    ),
)


@dataclass(frozen=True, slots=True)
class Document:
    """The plain data of a file, and the line of every path in it."""

    file: str
    data: Node
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int | None:
        """The line of `path`, or of its nearest parent that stands in the file."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path)

    def problem(self, path: KeyPath, message: str, hint: str | None = None) -> Problem:
        return Problem(self.file, self.line(path), path_text(path), message, hint)


@dataclass(slots=True)
class _Container:
    node: list[Node] | dict[str, Node]
    path: KeyPath
    key: str | None = None
    seen: dict[str, int] = field(default_factory=dict)


def path_text(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_file(path: Path, *, tags: frozenset[str] = frozenset()) -> Document:
    """Parse the one document of a file. Raises ConfigError, also when the file cannot be read."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError.of(str(path), f"cannot be read: {reason}", hint="check its path, owner and mode") from None
    return read(raw, str(path), tags=tags)


def read(text: str | bytes, file: str, *, tags: frozenset[str] = frozenset()) -> Document:
    """Parse one document. `tags` are the local tags allowed on scalars; `!file x` becomes {"!file": "x"}.

    Raises ConfigError with file and line for anything YAML readers disagree on.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        hint = "split it into several files"
        raise ConfigError([Problem(file, 1, "", f"is larger than {MAX_BYTES // 1024} KiB", hint)])
    try:
        decoded = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError([Problem(file, line, "", "is not UTF-8", "save it as UTF-8")]) from None
    try:
        return _Builder(file, tags).build(decoded, _FAST_LOADER)
    except (yaml.YAMLError, ValueError, OverflowError):
        pass  # The parser of PyYAML's own says more exactly what is wrong.
    builder = _Builder(file, tags)
    try:
        return builder.build(decoded, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError([_syntax_problem(file, decoded, error)]) from None
    except (ValueError, OverflowError):
        # PyYAML lets Python's own errors through for an escape like "\UFFFFFFFF" and an endless version number.
        message = "is not valid YAML: it holds an escape or a number that means nothing"
        raise ConfigError([Problem(file, builder.line, "", message)]) from None


def _syntax_problem(file: str, text: str, error: yaml.YAMLError) -> Problem:
    match error:
        case yaml.MarkedYAMLError():
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark is not None else 1
            said = error.problem or error.context or "it cannot be read"
        case yaml.reader.ReaderError():
            line = text.count("\n", 0, error.position) + 1
            said = f"the character U+{ord(text[error.position]):04X} is not allowed"
        case _:
            line, said = 1, "it cannot be read"
    return Problem(file, line, "", f"is not valid YAML: {said}")


class _Builder:
    def __init__(self, file: str, tags: frozenset[str]) -> None:
        self.file = file
        self.tags = tags
        self.lines: dict[KeyPath, int] = {(): 1}
        self.line = 1
        self.stack: list[_Container] = []
        self.root: Node = None
        self.documents = 0

    def build(self, text: str, loader: _Loader) -> Document:
        for event in yaml.parse(text, Loader=loader):
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            match event:
                case yaml.DocumentStartEvent():
                    self.documents += 1
                    if self.documents > 1:
                        self.fail(line, (), "holds a second document", "one document a file")
                case yaml.AliasEvent():
                    self.fail(line, self.here(), "uses an alias", "write the value out")
                case yaml.ScalarEvent():
                    self.refuse_anchor(event.anchor, line)
                    self.scalar(event, line)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self.refuse_anchor(event.anchor, line)
                    self.open({} if isinstance(event, yaml.MappingStartEvent) else [], event.tag, line)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self.stack.pop()
        return Document(self.file, self.root, self.lines)

    def fail(self, line: int, path: KeyPath, message: str, hint: str | None = None) -> NoReturn:
        raise ConfigError([Problem(self.file, line, path_text(path), message, hint)])

    def here(self) -> KeyPath:
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.node, list):
            return (*top.path, len(top.node))
        return (*top.path, top.key) if top.key is not None else top.path

    def refuse_anchor(self, anchor: str | None, line: int) -> None:
        if anchor is not None:
            self.fail(line, self.here(), "uses an anchor", "write the value out")

    def open(self, node: list[Node] | dict[str, Node], tag: str | None, line: int) -> None:
        path = self.here()
        if tag is not None:
            self.fail(line, path, f"uses the tag {tag}", "remove it")
        if self.stack and isinstance(self.stack[-1].node, dict) and self.stack[-1].key is None:
            self.fail(line, path, "uses a list or a mapping as a key", "keys are plain words")
        if len(self.stack) >= MAX_DEPTH:
            self.fail(line, (), f"is nested deeper than {MAX_DEPTH} levels")
        self.add(node, path, line)
        self.stack.append(_Container(node, path))

    def scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        top = self.stack[-1] if self.stack else None
        path = self.here()
        is_key = top is not None and isinstance(top.node, dict) and top.key is None
        if event.tag is not None and (is_key or event.tag not in self.tags):
            self.fail(line, path, f"uses the tag {event.tag}", "remove it")
        if _UNSAYABLE.search(event.value):
            self.fail(line, path, "holds an escape for a NUL or for half a character", "leave it out")
        if top is not None and is_key:
            self.set_key(top, event.value, line)
            return
        if event.tag is not None:
            self.add({event.tag: event.value}, path, line)
            return
        self.add(event.value if event.style else self.plain(event.value, path, line), path, line)

    def set_key(self, top: _Container, key: str, line: int) -> None:
        if key == "<<":
            self.fail(line, top.path, "uses a merge key", "write the values out")
        if key in top.seen:
            self.fail(line, (*top.path, key), f"is given twice, first on line {top.seen[key]}", "keep one")
        top.seen[key] = line
        top.key = key

    def add(self, node: Node, path: KeyPath, line: int) -> None:
        top = self.stack[-1] if self.stack else None
        # A value stands where its key does: that is the line a person looks for.
        self.lines[path] = top.seen[top.key] if top is not None and top.key is not None else line
        if top is None:
            self.root = node
            return
        if isinstance(top.node, list):
            top.node.append(node)
        else:
            assert top.key is not None
            top.node[top.key] = node
            top.key = None

    def plain(self, text: str, path: KeyPath, line: int) -> Scalar:
        if text in ("", "~", "null"):
            return None
        if text in ("true", "false"):
            return text == "true"
        for pattern, message, hint in _SURPRISES:
            if pattern.match(text):
                self.fail(line, path, f"{text} {message}", hint)
        if _INT.match(text) and len(text) <= _LONGEST_INT:
            return int(text)
        if _FLOAT.match(text):
            number = float(text)
            if _INT.match(text) or not math.isfinite(number):
                self.fail(line, path, "is a number too large to hold", "quote it if it is a text")
            return number
        return text
