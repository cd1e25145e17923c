"""What a command loads: memory of the daemon for good, and time before every answer. Modules are counted, not time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LOADED = """
import json, sys
{statements}
print(json.dumps([name for name, module in sys.modules.items() if module is not None]))
"""


def loaded_by(*statements: str) -> set[str]:
    """The modules a fresh interpreter has after these."""
    text = LOADED.format(statements="\n".join(statements))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("statements", "never", "most"),
    [
        (
            ["import dbwatch.cli.app"],
            {"rich", "pydantic", "psycopg", "redis", "asyncio", "ssl", "structlog", "yaml"},
            190,
        ),
        (
            [
                "import dbwatch.cli.handover, dbwatch.cli.serving",
                "import dbwatch.engines.postgres.adapter, dbwatch.engines.redis.adapter",
            ],
            {
                "rich",
                "jinja2",
                "pygments",
                "pydantic",
                "yaml",
                "typer",
                "bcrypt",
                "dbwatch.render",
                "dbwatch.report.text",
                "dbwatch.doctor",
                "dbwatch.adhoc",
            },
            840,
        ),
    ],
    ids=["help", "serve"],
)
def test_a_command_loads_what_it_uses(statements: list[str], never: set[str], most: int) -> None:
    loaded = loaded_by(*statements)
    assert not loaded & never
    assert len(loaded) <= most


def test_the_daemon_leaves_what_it_does_without_to_others() -> None:
    """It is kept from loading rich while its log is set up; a report in the same process still has it."""
    assert "rich.console" in loaded_by("import dbwatch.cli.serving", "import rich.console")
