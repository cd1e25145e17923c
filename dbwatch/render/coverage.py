"""Owns `docs/coverage.md`: which check answers which rule of good keeping. Refuses to know what a rule means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from dbwatch.catalogue import Catalogue, Check
from dbwatch.errors import ConfigError
from dbwatch.render.markdown import GENERATED, code, table
from dbwatch.strictyaml import read

PATH: Final = "docs/coverage.md"
_FILE: Final = "dbwatch/render/rules.yaml"

_INTRODUCTION: Final = """\
Every rule has the checks that answer it, or the reason why none can. A check that runs only when somebody enables it or
asks for it by name is marked."""
_HEAD: Final = ("Rule", "What", "Checks", "What they cannot see")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `otherwise` says what no check answers, and why."""

    id: str
    text: str
    otherwise: str | None


def rules() -> tuple[Rule, ...]:
    """All rules, in the order of the file."""
    return read_rules(resources.files("dbwatch.render").joinpath("rules.yaml").read_bytes())


def read_rules(text: bytes) -> tuple[Rule, ...]:
    """Raises ConfigError."""
    data = read(text, _FILE).data
    if not isinstance(data, dict):
        raise ConfigError.of(_FILE, "holds no rules")
    found = []
    for name, entry in data.items():
        fields: Mapping[str, object] = entry if isinstance(entry, dict) else {}
        # A comma in a text without quotes begins another key, and the text would end there unnoticed.
        if unknown := fields.keys() - {"rule", "otherwise"}:
            raise ConfigError.of(_FILE, f"{name}: {sorted(unknown)[0]!r} is not a known key")
        otherwise = fields.get("otherwise")
        found.append(Rule(name, str(fields.get("rule", "")), str(otherwise) if otherwise is not None else None))
    return tuple(found)


def coverage_page(catalogue: Catalogue) -> tuple[str, str]:
    """Path and text. Raises ConfigError when a check covers a rule that there is not."""
    known = rules()
    _verify(catalogue, {rule.id for rule in known})
    lines = []
    for rule in known:
        checks = [check for check in catalogue if rule.id in check.covers]
        missing = rule.otherwise or ("" if checks else "not answered yet")
        lines.append((rule.id, rule.text, ", ".join(_links(checks)), missing))
    answered = sum(any(rule.id in check.covers for check in catalogue) for rule in known)
    count = f"{answered} of {len(known)} rules are answered by a check."
    return PATH, "\n\n".join([GENERATED, "# Coverage", f"{_INTRODUCTION} {count}", table(_HEAD, lines)]) + "\n"


def _verify(catalogue: Catalogue, known: set[str]) -> None:
    for check in catalogue:
        for name in check.covers:
            if name not in known:
                raise ConfigError.of(check.file, f"covers the rule {name}, which there is not")


def _links(checks: list[Check]) -> Iterator[str]:
    for check in sorted(checks, key=lambda check: (check.engine, check.name)):
        mark = " (on demand)" if check.on_demand else "" if check.enabled else " (off)"
        yield f"[{code(check.name)}](checks/{check.engine}/{check.name}.md){mark}"
