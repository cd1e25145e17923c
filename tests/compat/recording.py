"""Owns what an exporter was seen to show: names, types and labels by server, kept in `recorded/<exporter>.json`.

The committed table is made of it, so that it depends on no machine; the tests that run the exporter hold it to be true.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.compat.scraped import Scraped

FOLDER = Path(__file__).parent / "recorded"
OF_ITS_PROCESS = ("go_", "process_", "promhttp_")
"""Families of any exporter by their beginning; nobody watches a server by them."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One family as it was seen. `servers` are those on which it was."""

    kind: str
    labels: tuple[str, ...]
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """All that was seen of an exporter. `version` is its own, without Debian's part."""

    exporter: str
    version: str
    servers: tuple[str, ...]
    families: Mapping[str, Recorded] = field(default_factory=dict)


def recording(exporter: str, version: str, pages: Mapping[str, Mapping[str, Scraped]]) -> Recording:
    """The recording of `pages` by server."""
    families: dict[str, Recorded] = {}
    for name in sorted({name for page in pages.values() for name in page}):
        seen = {server: page[name] for server, page in pages.items() if name in page}
        labels = sorted({label for family in seen.values() for label in family.label_names if label != "__part__"})
        families[name] = Recorded(next(iter(seen.values())).kind, tuple(labels), tuple(seen))
    return Recording(exporter, version.split("-")[0], tuple(pages), families)


def differences(recorded: Recording, pages: Mapping[str, Mapping[str, Scraped]]) -> list[str]:
    """What `pages` by server show and the recording does not tell; of the exporter's own process it tells nothing."""
    wrong: list[str] = []
    for server, page in pages.items():
        for name, family in page.items():
            known = recorded.families.get(name)
            if name.startswith(OF_ITS_PROCESS):
                continue
            if known is None or known.kind != family.kind or not set(family.label_names) <= {*known.labels, "__part__"}:
                wrong.append(f"{server}: {name} {family.kind} {family.label_names}")
            elif server not in known.servers:
                wrong.append(f"{server}: {name} is not recorded for this server")
    return wrong


def load(exporter: str) -> Recording:
    data = json.loads((FOLDER / f"{exporter}.json").read_text(encoding="utf-8"))
    everywhere = tuple(data["servers"])
    families = {
        name: Recorded(given["type"], tuple(given.get("labels", ())), tuple(given.get("servers", everywhere)))
        for name, given in data["families"].items()
    }
    return Recording(exporter, data["version"], everywhere, families)


def save(made: Recording) -> None:
    families = {
        name: {
            "type": family.kind,
            **({"labels": list(family.labels)} if family.labels else {}),
            **({"servers": list(family.servers)} if family.servers != made.servers else {}),
        }
        for name, family in made.families.items()
    }
    head = {"exporter": made.exporter, "version": made.version, "servers": list(made.servers)}
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(family)}" for name, family in families.items())
    text = json.dumps(head, indent=2)[:-2] + ',\n  "families": {\n' + lines + "\n  }\n}\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{made.exporter}.json").write_text(text, encoding="utf-8")
