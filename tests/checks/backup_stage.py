"""Owns setting the stage for a backup case: dump files, markers, tools that answer as recorded, what a server told."""

from __future__ import annotations

import base64
import gzip
import os
import re
import time
from pathlib import Path
from typing import Any

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.engines.archived import ArchivingTold
from dbwatch.engines.backup.adapter import BackupAdapter
from dbwatch.engines.postgres.cluster import Clusters
from dbwatch.model import Engine, Outcome
from tests.checks.asking import ask, with_extras
from tests.checks.cases import BackupCase, DumpFile, Expect, ToldServer

_SEGMENT_BYTES = 16 * 2**20


def run_case(check: Check, case: BackupCase, folder: Path) -> tuple[Outcome, Expect]:
    """Make the files, ask the check."""
    place = folder / "dumps"
    if not case.setup.missing_folder:
        place.mkdir()
    write_files(place, case.setup.files)
    target = Target(name="backup", engine=Engine.BACKUP)
    extras = filled(case.target or {"dumps": {}}, place)
    target = with_extras(target, case.model_copy(update={"target": extras}), place)
    clusters = Clusters()
    if case.setup.told is not None:
        tell(clusters, case.setup.told)
    return ask(target, check, case, lambda: None, adapter=BackupAdapter(clusters)), case.expect


def tell(clusters: Clusters, server: ToldServer) -> None:
    """As the lane of a watched PostgreSQL server does."""
    cluster = clusters.of(server.system_identifier)
    assert cluster is not None
    now = time.time()
    for files, age_seconds in server.written:
        cluster.clock.tick(server.target, round(files * _SEGMENT_BYTES), time.monotonic() - age_seconds)
    told = ArchivingTold(
        at_seconds=now,
        segment_bytes=_SEGMENT_BYTES,
        position=round(server.position * _SEGMENT_BYTES),
        archived_end=None if server.archived is None else round(server.archived * _SEGMENT_BYTES),
        archived_at_seconds=None if server.archived_age_seconds is None else now - server.archived_age_seconds,
        timeout_seconds=server.timeout_seconds,
    )
    cluster.tell(server.target, told)


def filled(node: Any, place: Path) -> Any:
    """`{ago:60}` and `{folder}`, wherever they stand."""
    if isinstance(node, str):
        text = re.sub(r"\{ago:(-?\d+)\}", lambda match: str(int(time.time()) - int(match[1])), node)
        return text.replace("{folder}", str(place))
    if isinstance(node, list):
        return [filled(item, place) for item in node]
    if isinstance(node, dict):
        return {name: filled(value, place) for name, value in node.items()}
    return node


def write_files(place: Path, files: list[DumpFile]) -> None:
    """Write the files, each with its age."""
    now = time.time()
    for file in files:
        path = place / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = _content(file, place)
        path.write_bytes(gzip.compress(content) if file.gzip else content)
        os.utime(path, (now - file.age_seconds, now - file.age_seconds))
        if file.mode is not None:
            path.chmod(int(file.mode, 8))


def _content(file: DumpFile, place: Path) -> bytes:
    if file.base64 is not None:
        return base64.b64decode(file.base64)
    if file.content is not None:
        return str(filled(file.content, place)).encode()
    return bytes(file.size or 0)
