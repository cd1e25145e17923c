"""The page of a check, and the Markdown it is made of."""

from __future__ import annotations

from pathlib import Path

from dbwatch.render import render_all
from dbwatch.render.markdown import fenced, prose, table
from tests.unit.render.sample_checks import SLOT, catalogue_of


def test_a_page_has_all_that_the_file_says(tmp_path: Path) -> None:
    files = render_all(catalogue_of(tmp_path, {"postgres/replication_slot": SLOT}))
    page = files["docs/checks/postgres/replication_slot.md"]
    for part in (
        "# replication_slot\n\nSlots that keep much.",
        "## Meaning\n\nIt is so.\nLook:\n\n```sql\nselect 1;\n\nselect 2;\n```\n\nThen think.",
        "| critical | kept_bytes is above 10GiB | `kept_bytes > 10GiB` |",
        '`PostgresReplicationSlot` with `severity="critical"` fires after 5 min',
        "| `dbwatch_pg_slot_kept_bytes` | gauge | Kept. |",
        "not exported: `owner`",
        "SELECT pg_drop_replication_slot({slot:literal});",
    ):
        assert part in page
    assert "[replication_slot](postgres/replication_slot.md)" in files["docs/checks/README.md"]
    assert "[replication_slot](checks/postgres/replication_slot.md)" in files["docs/metrics.md"]


def test_markdown_survives_what_people_write() -> None:
    assert prose("a\n    b\n\n\nc") == "a\n\n```\nb\n```\n\nc"
    assert prose("    only code") == "only code"
    assert fenced("x ``` y").startswith("````\n")
    assert table(("a",), [("x | y",)]) == "| a |\n| --- |\n| x \\| y |"
