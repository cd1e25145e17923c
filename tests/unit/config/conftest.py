from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dbwatch.config import Config, load_config
from tests.unit.config.catalogue_files import write_catalogue


@pytest.fixture(autouse=True)
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = write_catalogue(tmp_path / "catalogue")
    monkeypatch.setattr("dbwatch.config.loader.bundled", lambda kind: directory if kind == "checks" else None)
    return directory


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Config]:
    def load(text: str, environ: Mapping[str, str] | None = None) -> Config:
        path = tmp_path / "dbwatch.yaml"
        path.write_text(text)
        return load_config(path, environ=environ or {})

    return load
