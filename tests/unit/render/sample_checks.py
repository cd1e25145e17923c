"""Small check files for the tests of the renderer, and a catalogue of them."""

from __future__ import annotations

from pathlib import Path

import yaml

from dbwatch.catalogue import Catalogue, Check, load_catalogue
from dbwatch.model import Engine

RUNBOOK = {
    "meaning": "It is so.\nLook:\n    select 1;\n\n    select 2;\nThen think.",
    "impact": "It hurts.",
    "diagnosis": "See above.",
    "mitigation": "Stop it.",
}

SLOT: dict[str, object] = {
    "summary": "Slots that keep much",
    "group": "replication",
    "why": "The disk\nfills.",
    "every": "1m",
    "sql": "select 1",
    "columns": {
        "slot": {"use": "label"},
        "kept_bytes": {"use": "gauge", "metric": "dbwatch_pg_slot_kept_bytes", "help": "Kept."},
        "sent": {"use": "counter", "metric": "dbwatch_pg_slot_sent_bytes_total", "help": "Sent."},
        "lost": {"use": "counter", "metric": "dbwatch_pg_slot_lost_total", "help": "Lost."},
        "owner": {"use": "detail", "type": "text"},
    },
    "derive": {"lost_ratio": {"value": "delta(lost) / (delta(lost) + delta(sent))"}},
    "levels": {"critical": "kept_bytes > 10GiB", "warning": "kept_bytes > 1GiB"},
    "for": "5m",
    "key": ["slot"],
    "message": "{slot} keeps {kept_bytes:bytes}",
    "fix": "SELECT pg_drop_replication_slot({slot:literal});",
    "runbook": RUNBOOK,
    "panel": {"dashboard": "replication", "column": "kept_bytes", "unit": "bytes"},
}

CONNECT: dict[str, object] = {
    "summary": "A server that takes no connection",
    "group": "availability",
    "why": "Nothing works.",
    "cost": "cheap",
    "probe": "connect",
    "columns": {"up": {"use": "gauge", "metric": "dbwatch_pg_up", "help": "Whether it answers."}},
    "levels": {"critical": "not up"},
    "message": "down",
    "runbook": RUNBOOK,
    "panel": {"dashboard": "overview", "kind": "stat", "column": "up"},
}


def catalogue_of(folder: Path, checks: dict[str, dict[str, object]]) -> Catalogue:
    """A catalogue of `engine/name` -> file content."""
    for name in Engine:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for path, content in checks.items():
        (folder / f"{path}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return load_catalogue([folder])


def check_of(folder: Path, content: dict[str, object], name: str = "replication_slot") -> Check:
    """One check of PostgreSQL."""
    return catalogue_of(folder, {f"postgres/{name}": content}).named(name)[0]


def with_levels(**levels: str) -> dict[str, object]:
    """The slot check with other levels."""
    return {**SLOT, "levels": levels}
