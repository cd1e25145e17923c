"""The JSON Schemas say what the readers of the files say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue.loader import COMPAT
from dbwatch.render.schemas import check_schema, config_schema, schemas
from dbwatch.strictyaml import read_file
from tests.unit.render.sample_checks import CONNECT, SLOT
from tests.unit.render.schema_validation import problems

CHECK_FILES = sorted(path for path in bundled("checks").glob("*/*.yaml") if path.parent.name != COMPAT)
CHECK_SCHEMA = check_schema()


def test_both_have_an_address_and_a_title() -> None:
    for name, text in schemas().items():
        schema = json.loads(text)
        assert schema["$id"].endswith(f"/{name}.json")
        assert schema["title"]
        assert schema["$schema"].startswith("https://json-schema.org/")
        assert schema["type"] == "object"
        assert not schema["additionalProperties"]


@pytest.mark.parametrize("path", CHECK_FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_bundled_checks_fit(path: Path) -> None:
    assert list(problems(read_file(path).data, CHECK_SCHEMA, CHECK_SCHEMA)) == []


@pytest.mark.parametrize("duration", ["15s", "1h30m", "1d 12h", 60, 0.5, "90"])
def test_a_duration_is_a_number_or_a_text(duration: str | float) -> None:
    assert list(problems({**CONNECT, "every": duration}, CHECK_SCHEMA, CHECK_SCHEMA)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"every": "15 parsecs"},
        {"every": -1},
        {"every": 0},
        {"every": True},
        {"columns": {"x": {"use": "color"}}},
        {"columns": {}, "summary": ""},
        {"surprise": 1},
        {"alert": {"name": "lower"}},
        {"key": "slot"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_the_reader_refuses_the_schema_refuses(wrong: dict[str, object]) -> None:
    assert list(problems({**SLOT, **wrong}, CHECK_SCHEMA, CHECK_SCHEMA))


def test_a_config_fits_and_a_wrong_one_does_not() -> None:
    schema = config_schema()
    good = {
        "targets": [
            {"name": "orders", "engine": "postgres", "url": "postgresql://db/orders", "connect_timeout": "5s"},
            {"name": "dumps", "engine": "backup", "dumps": {"path": "/backups", "every": "24h"}},
            {
                "name": "box",
                "engine": "host",
                "volumes": {"data": "/var/lib/postgresql"},
                "cgroup": "db/*",
                "of": "orders",
            },
        ],
        "defaults": {"intervals": {"unused_index": "6h"}, "profile": "deep"},
    }
    assert list(problems(good, schema, schema)) == []
    refused: list[dict[str, object]] = [
        {"target": []},
        {"targets": [{"name": "x"}]},
        {"defaults": {"intervals": {"a": "soon"}}},
        {"defaults": {"labels": {"Team": "x"}}},
    ]
    for wrong in refused:
        assert list(problems(wrong, schema, schema)), wrong
