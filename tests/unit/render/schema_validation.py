"""As much of JSON Schema as our two schemas use; no validator is among the dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

KNOWN = {
    *("$ref", "$defs", "$schema", "$id", "title", "description", "default", "format", "additionalProperties"),
    *("anyOf", "type", "const", "enum", "properties", "patternProperties", "required", "items", "minItems", "maxItems"),
    *("minProperties", "maxProperties", "pattern", "minLength", "maxLength"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str = "$") -> Iterator[str]:
    """Everything in which the value does not fit."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        yield from problems(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, path)
    if "anyOf" in schema and not any(not list(problems(value, form, root, path)) for form in schema["anyOf"]):
        yield f"{path}: fits none of the forms"
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
        yield f"{path}: is not a {kind}"
        return
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        yield f"{path}: {value!r} is not one of the choices"
    if isinstance(value, str) and "type" in schema:
        yield from _text(value, schema, path)
    if isinstance(value, int | float):
        yield from _number(value, schema, path)
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from problems(item, schema.get("items", {}), root, f"{path}[{place}]")
    if isinstance(value, dict):
        yield from _object(value, schema, root, path)


def _text(value: str, schema: dict[str, Any], path: str) -> Iterator[str]:
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9):
        yield f"{path}: has a wrong length"


def _number(value: float, schema: dict[str, Any], path: str) -> Iterator[str]:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if (low is not None and value < low) or (above is not None and value <= above):
        yield f"{path}: {value} is too small"
    if (high is not None and value > high) or (below is not None and value >= below):
        yield f"{path}: {value} is too large"


def _object(value: dict[Any, Any], schema: dict[str, Any], root: dict[str, Any], path: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path}: lacks {name}"
    for name, item in value.items():
        others = schema.get("additionalProperties", True)
        fitting = [form for form in schema.get("patternProperties", {}) if re.search(form, str(name))]
        if name in known:
            yield from problems(item, known[name], root, f"{path}.{name}")
        elif fitting:
            yield from problems(item, schema["patternProperties"][fitting[0]], root, f"{path}.{name}")
        elif others is False:
            yield f"{path}: does not know {name}"
        elif isinstance(others, dict):
            yield from problems(item, others, root, f"{path}.{name}")
