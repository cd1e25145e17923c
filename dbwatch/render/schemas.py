"""Owns the JSON Schemas of the configuration and of a check file, for editors and for `dbwatch schema`.

Refuses to say anything that the pydantic models do not: it only names the schemas and says how durations are written,
which the models cannot, since they hold seconds by then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from dbwatch.catalogue.file import CheckFile
from dbwatch.config.schema import ConfigFile
from dbwatch.units import TIME_UNITS, parse_duration, parse_share

BASE: Final = "https://github.com/dbwatch/dbwatch/schemas"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_PART: Final = rf"[0-9]+(\.[0-9]+)? ?({'|'.join(TIME_UNITS)})"
_DURATION_TEXT: Final[JsonSchemaValue] = {
    "type": "string",
    "pattern": rf"^\s*([0-9]+(\.[0-9]+)?|{_PART}( *{_PART})*)\s*$",
    "description": "a duration like 15s, 500ms or 1h30m",
}
_SHARE: Final[JsonSchemaValue] = {
    "anyOf": [{"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]+)?\s*%|off)\s*$"}, {"const": False}],
    "description": "a share like 0.5%, or false for none",
}

_BOUNDS: Final = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}

_Json: TypeAlias = "dict[str, _Json] | list[_Json] | str | float | bool | None"


class _Schema(GenerateJsonSchema):
    """Durations are numbers of seconds or texts; everything else is as pydantic has it."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        seconds = super().function_before_schema(schema)
        if schema["function"]["function"] is parse_share:
            return _SHARE
        if schema["function"]["function"] is not parse_duration:
            return seconds
        return {"anyOf": [seconds, _DURATION_TEXT]}


def config_schema() -> JsonSchemaValue:
    """The schema of `dbwatch.yaml`."""
    return _named(ConfigFile, "config.json", "dbwatch.yaml", "The configuration of dbwatch.")


def check_schema() -> JsonSchemaValue:
    """The schema of `checks/<engine>/<name>.yaml`."""
    return _named(CheckFile, "check.json", "A check of dbwatch", "One file below checks/, named after the check.")


def schemas() -> Mapping[str, str]:
    """The texts by name, as `dbwatch schema config` and `dbwatch schema check` print them."""
    found = {"config": config_schema(), "check": check_schema()}
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in found.items()}


def _named(model: type[BaseModel], file: str, title: str, description: str) -> JsonSchemaValue:
    schema = _tightened(TypeAdapter(model).json_schema(schema_generator=_Schema, by_alias=True))
    assert isinstance(schema, dict)
    head = {"$schema": DIALECT, "$id": f"{BASE}/{file}", "title": title, "description": description}
    return head | {name: part for name, part in schema.items() if name not in head}


def _tightened(part: _Json) -> _Json:
    """The same schema, as strict as the models.

    pydantic leaves the bounds of a duration beside its two forms, in its own words: they are the number's. And it
    lets a mapping have any other name beside the ones of its pattern, which its models refuse.
    """
    if isinstance(part, list):
        return [_tightened(item) for item in part]
    if not isinstance(part, dict):
        return part
    rest = {name: _tightened(value) for name, value in part.items()}
    if "patternProperties" in rest:
        rest.setdefault("additionalProperties", False)
    forms = rest.get("anyOf")
    if isinstance(forms, list) and not rest.keys().isdisjoint(_BOUNDS):
        bounds = {_BOUNDS[name]: rest.pop(name) for name in sorted(_BOUNDS) if name in rest}
        rest["anyOf"] = [
            form | bounds if form == {"type": "number"} else form for form in forms if isinstance(form, dict)
        ]
    return rest
