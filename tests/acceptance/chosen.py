"""Owns the check `chosen`, whose verdict a test picks by its thresholds, and configurations that have it."""

from __future__ import annotations

from pathlib import Path

CHOSEN = """\
summary: A number that a test chose
group: tests
why: the tests want a verdict of their own
sql: select name, number::float8 as number from (values ('one', 1), ('two', 2)) as v (name, number)
columns:
  name: {use: label}
  number: {use: gauge, metric: dbwatch_pg_chosen_number, help: A number.}
levels: {critical: number > 100, warning: number > 100}
key: [name]
message: "{name} is {number}"
runbook: {meaning: a, impact: b, diagnosis: c, mitigation: d}
"""


def config(folder: Path, *targets: str) -> Path:
    """A configuration with the check `chosen` of our own beside the bundled ones."""
    own = folder / "own" / "postgres" / "chosen.yaml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(CHOSEN)
    path = folder / "dbwatch.yaml"
    path.write_text("targets:\n" + "".join(f"  - {{{target}}}\n" for target in targets) + "checks_dir: own\n")
    return path
