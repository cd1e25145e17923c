"""What tools really printed, recorded with `/srv` in place of the folders they ran in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dbwatch.engines.backup.tools.document import Node, document

FOLDER = Path(__file__).parent / "recorded"


def recorded(name: str) -> Node:
    """The answer in `recorded/<name>.json`."""
    return document((FOLDER / f"{name}.json").read_bytes(), name.partition("-")[0])


def plain(name: str) -> Any:
    """The same, to be changed."""
    return json.loads((FOLDER / f"{name}.json").read_bytes())


def node(value: Any, name: str = "tool") -> Node:
    return document(json.dumps(value).encode(), name)
