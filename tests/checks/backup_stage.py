"""Owns setting the stage for a backup case: dump files of given content and age in a folder."""

from __future__ import annotations

import base64
import gzip
import os
import time
from pathlib import Path

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.model import Engine, Outcome
from tests.checks.asking import ask, with_extras
from tests.checks.cases import BackupCase, DumpFile, Expect


def run_case(check: Check, case: BackupCase, folder: Path) -> tuple[Outcome, Expect]:
    """Make the files, ask the check."""
    place = folder / "dumps"
    if not case.setup.missing_folder:
        place.mkdir()
    write_files(place, case.setup.files)
    target = Target(name="backup", engine=Engine.BACKUP)
    dumps = {"dumps": {**case.target.get("dumps", {})}}
    target = with_extras(target, case.model_copy(update={"target": {**case.target, **dumps}}), place)
    return ask(target, check, case, lambda: None), case.expect


def write_files(place: Path, files: list[DumpFile]) -> None:
    """Write the files, each with its age."""
    now = time.time()
    for file in files:
        path = place / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = _content(file)
        path.write_bytes(gzip.compress(content) if file.gzip else content)
        os.utime(path, (now - file.age_seconds, now - file.age_seconds))
        if file.mode is not None:
            path.chmod(int(file.mode, 8))


def _content(file: DumpFile) -> bytes:
    if file.base64 is not None:
        return base64.b64decode(file.base64)
    if file.content is not None:
        return file.content.encode()
    return bytes(file.size or 0)
