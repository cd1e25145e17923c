"""Owns turning pydantic's errors into problems with file, line and a suggestion. Knows no particular model."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from pydantic import BaseModel, ValidationError

from dbwatch.errors import Problem
from dbwatch.strictyaml import Document, KeyPath, Node

_Loc: TypeAlias = tuple[int | str, ...]
_FOLDED = {
    "missing": "is missing",
    "extra_forbidden": "is not a known key",
    "model_type": "has to be a mapping of keys to values",
    "model_attributes_type": "has to be a mapping of keys to values",
    "dict_type": "has to be a mapping of keys to values",
}


def problems_of(document: Document, error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """One problem an error, each at the line it stands on."""
    return sorted(set(_problems(document, error, model)), key=lambda problem: (problem.line or 0, problem.path))


def _problems(document: Document, error: ValidationError, model: type[BaseModel]) -> Iterator[Problem]:
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        path = _real_path(document.data, item["loc"])
        message = _FOLDED.get(item["type"]) or item["msg"].removeprefix("Value error, ")
        hint = None
        if item["type"] == "missing":
            path = (*path, str(item["loc"][-1])) if not path or path[-1] != item["loc"][-1] else path
        if item["type"] == "extra_forbidden":
            hint = _did_you_mean(str(item["loc"][-1]), model, item["loc"])
        yield document.problem(path, message[:1].lower() + message[1:], hint)


def _real_path(data: Node, loc: _Loc) -> KeyPath:
    """The part of pydantic's location that stands in the file: union branches are not."""
    path: list[int | str] = []
    here: Node = data
    for part in loc:
        in_mapping = isinstance(here, dict) and isinstance(part, str) and part in here
        in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
        if in_mapping or in_list:
            here = here[part]  # type: ignore[index]  # the two lines above say that it fits
            path.append(part)
    return tuple(path)


def _did_you_mean(key: str, model: type[BaseModel], loc: _Loc) -> str | None:
    known = _keys(model)
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    own = sorted(model.model_json_schema(by_alias=True)["properties"])
    return f"known here: {', '.join(own)}" if len(loc) == 1 else None


def _keys(model: type[BaseModel]) -> set[str]:
    schema = model.model_json_schema(by_alias=True)
    keys: set[str] = set(schema.get("properties", {}))
    definitions: Mapping[str, Mapping[str, object]] = schema.get("$defs", {})
    for definition in definitions.values():
        properties = definition.get("properties")
        if isinstance(properties, Mapping):
            keys.update(str(key) for key in properties)
    return keys
