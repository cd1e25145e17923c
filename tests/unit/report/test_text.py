"""The text report reads well, says everything that matters, and never breaks what a person pastes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from dbwatch.config import Target
from dbwatch.model import Engine, Reason, Status
from dbwatch.report.text import render_text
from dbwatch.store import TargetState, TargetView
from dbwatch.template import Template
from tests.unit.report.samples import (
    CACHE_MISS,
    IDLE_IN_TRANSACTION,
    REPLICATION_SLOT,
    SLOW_STATEMENT,
    UNUSED_INDEX,
    failed,
    healthy,
    idle,
    index,
    no_extension,
    outcome,
    row,
    slot,
    troubled,
    unreachable,
    view,
)

WHOLE = """\
orders   PostgreSQL 17.2 · primary · db.internal:5432 · up 41 days
  CRITICAL  replication_slot      slot "debezium" keeps 38 GiB and is lost in about 2 h at 5 MiB/s
            fix: SELECT pg_drop_replication_slot('debezium');  -- only if its consumer is gone for good
  UNKNOWN   table_bloat           timeout: no answer within 10 s at step query; the query was cancelled
  WARNING   idle_in_transaction   Sessions idle in an open transaction: 2 found
              batch has been idle in a transaction for 1 h 7 min (pid 4242)
                fix: SELECT pg_terminate_backend(4242);
              web has been idle in a transaction for 12 min (pid 17)
                fix: SELECT pg_terminate_backend(17);
  WARNING   unused_index          3 indexes, 1.2 GiB, no scan in 41 days (counters trusted since 2026-10-09)
              public.orders_note_idx             812 MiB   DROP INDEX CONCURRENTLY public.orders_note_idx;
              public.Weird Ünique                300 MiB   DROP INDEX CONCURRENTLY public."Weird Ünique";
              public.customers_email_lower_idx   120 MiB   DROP INDEX CONCURRENTLY public.customers_email_lower_idx;
  ok 44 · skipped 1: slow_statement (needs the extension pg_stat_statements)      dbwatch explain replication_slot
    to run 1 more check: CREATE EXTENSION pg_stat_statements;  -- in database shop

cache   Redis · cache:6379
  UNREACHABLE  Connection refused at cache:6379
               is the server running, and is the port right?
               try: redis-cli -h cache -p 6379 ping
               1 check could not run

2 targets · 1 unreachable · 1 critical · 2 warnings · 1 unknown · 49 checks in 0.9 s, 47 ms of database time
"""


def shown(*views: TargetView, width: int = 0, color: bool = False, rows: bool = False) -> str:
    return render_text(views, duration_seconds=0.93, color=color, width=width, rows=rows)


def test_a_report_in_a_pipe_reads_like_this() -> None:
    assert shown(troubled(), unreachable()) == WHOLE


def test_a_healthy_server_takes_two_lines() -> None:
    lines = shown(healthy()).splitlines()
    assert lines[1] == "  all 44 checks ok"
    assert lines[-1] == "1 target · all ok · 44 checks in 0.9 s, 44 ms of database time"
    assert len(lines) == 4


@pytest.mark.parametrize("width", [60, 72, 80, 100, 132, 200])
def test_a_terminal_wraps_prose_and_never_what_is_pasted(width: int) -> None:
    text = shown(troubled(), unreachable(), width=width)
    pasted = ("SELECT pg_", "DROP INDEX", "CREATE EXTENSION", "redis-cli")
    for line in text.splitlines():
        assert cell_len(line) <= width or any(word in line for word in pasted), line
    for statement in (
        "SELECT pg_drop_replication_slot('debezium');  -- only if its consumer is gone for good",
        "DROP INDEX CONCURRENTLY public.customers_email_lower_idx;",
        "CREATE EXTENSION pg_stat_statements;  -- in database shop",
    ):
        assert any(line.endswith(statement) for line in text.splitlines())
    for word in WHOLE.split():
        assert word in text.split(), word


def test_colour_changes_nothing_but_the_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = shown(troubled(), unreachable(), color=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == WHOLE
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in render_text([troubled()], duration_seconds=1)


@pytest.mark.parametrize(
    ("no_color", "term", "wanted"), [("", "xterm", True), ("1", "xterm", False), ("", "dumb", False)]
)
def test_a_terminal_gets_colour_unless_it_says_no(
    monkeypatch: pytest.MonkeyPatch, no_color: str, term: str, wanted: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "90")
    text = render_text([troubled()], duration_seconds=1)
    assert ("\x1b[" in text) is wanted
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "  dbwatch explain replication_slot" in plain.splitlines()


def test_no_more_than_ten_findings_are_listed() -> None:
    many = [index(f"idx_{number:02}", 1e9 - number) for number in range(14)]
    text = shown(view((UNUSED_INDEX, outcome(UNUSED_INDEX, *many))))
    assert "idx_09" in text
    assert "idx_10" not in text
    assert "              … 4 more: --format json shows all\n" in text


def test_findings_of_two_levels_say_which_is_which() -> None:
    slots = outcome(REPLICATION_SLOT, slot("a", 30e9), slot("b", 2e9, Status.WARNING))
    sessions = outcome(IDLE_IN_TRANSACTION, idle("x", 9e3, 1, Status.CRITICAL), idle("y", 700, 2, Status.WARNING))
    text = shown(view((REPLICATION_SLOT, slots), (IDLE_IN_TRANSACTION, sessions)))
    assert re.search(r"critical +x has been idle", text)
    assert re.search(r"warning +y has been idle", text)


def test_a_fix_for_another_database_says_where_to_run_it() -> None:
    found = outcome(UNUSED_INDEX, index("a"), index("b", database="other"))
    text = shown(view((UNUSED_INDEX, found)))
    assert re.search(r"^ +public\.a +812 MiB   DROP INDEX CONCURRENTLY public\.a;$", text, re.MULTILINE)
    assert re.search(
        r"^ +other\.public\.b   812 MiB   DROP INDEX CONCURRENTLY public\.b;  -- in database other$", text, re.MULTILINE
    )
    alone = shown(view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("b", database="other")))))
    assert "            fix: DROP INDEX CONCURRENTLY public.b;  -- in database other\n" in alone
    telling = replace(UNUSED_INDEX, fix=Template.parse("DROP INDEX {index:ident};  -- in database {database:ident}"))
    assert shown(view((telling, outcome(telling, index("b", database="other"))))).count("-- in database other") == 1


def test_one_fix_for_all_is_said_once() -> None:
    found = outcome(UNUSED_INDEX, index("a"), index("b"))
    same = replace(found, findings=tuple(replace(f, fix="ANALYZE;\nVACUUM;") for f in found.findings))
    text = shown(view((UNUSED_INDEX, same)))
    assert text.count("ANALYZE;") == 1
    assert "            fix: ANALYZE;\n                 VACUUM;\n" in text


def test_a_fix_of_several_lines_stays_a_block() -> None:
    found = outcome(UNUSED_INDEX, index("a"), index("b"))
    blocks = tuple(replace(f, fix=f"BEGIN;\nDROP {f.key};") for f in found.findings)
    text = shown(view((UNUSED_INDEX, replace(found, findings=blocks))))
    assert "                fix: BEGIN;\n                     DROP shop.public.a;\n" in text


def test_checks_that_failed_for_one_reason_stand_together() -> None:
    checks = [replace(CACHE_MISS, name=f"check_{number}") for number in range(3)]
    lost = [
        (c, failed(c, Status.UNKNOWN, Reason.PRIVILEGE, "permission denied", "GRANT pg_monitor TO x;")) for c in checks
    ]
    text = shown(view(*lost))
    assert "  UNKNOWN   3 checks   privilege: permission denied\n            check_0, check_1, check_2\n" in text
    assert text.count("            try: GRANT pg_monitor TO x;\n") == 1


def test_skipped_checks_are_grouped_by_reason_with_their_remedies() -> None:
    other = replace(SLOW_STATEMENT, name="query_regression")
    role = failed(CACHE_MISS, Status.SKIPPED, Reason.ROLE, "runs on a primary, this is a standby")
    text = shown(view((SLOW_STATEMENT, no_extension()), (other, no_extension()), (CACHE_MISS, role)))
    assert "skipped 3: " in text
    assert "query_regression, slow_statement (needs the extension pg_stat_statements)" in text
    assert "cache_miss (runs on a primary, this is a standby)" in text
    assert text.count("to run 2 more checks: CREATE EXTENSION pg_stat_statements;") == 1


def test_many_that_do_not_apply_are_a_number() -> None:
    role = failed(CACHE_MISS, Status.SKIPPED, Reason.ROLE, "runs on a primary, this is a standby")
    foreign = [(replace(CACHE_MISS, name=f"foreign_{number}"), role) for number in range(9)]
    text = shown(view((SLOW_STATEMENT, no_extension()), *foreign))
    assert "skipped 10: slow_statement (needs the extension pg_stat_statements), 9 that do not apply" in text
    assert "foreign" not in text


def test_lifetime_values_are_marked_and_explained() -> None:
    text = shown(view((UNUSED_INDEX, replace(outcome(UNUSED_INDEX, index("a")), lifetime=True))))
    assert "(lifetime)" in text
    assert text.splitlines()[-1].startswith("lifetime: ")


def test_a_cut_result_is_admitted() -> None:
    text = shown(view((UNUSED_INDEX, replace(outcome(UNUSED_INDEX, index("a")), dropped_rows=1))))
    assert "note: 1 row was judged, the server has more" in text


def test_names_from_the_server_cannot_draw_on_the_terminal() -> None:
    hostile = "x\x1b[2J\n  ok 99\u202e"
    text = shown(view((UNUSED_INDEX, outcome(UNUSED_INDEX, index(hostile), index("b")))), color=False, rows=True)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n  ok 99" not in text
    assert "x\\x1b[2J\\n  ok 99\\u202e" in text


def test_rich_markup_in_a_name_is_only_text() -> None:
    text = shown(view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("[red]x[/red] :smile:"), index("b")))))
    assert "public.[red]x[/red] :smile:" in text


def test_wide_characters_keep_the_columns_aligned() -> None:
    text = shown(view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("日本語"), index("abc")))))
    lines = [line for line in text.splitlines() if "DROP" in line]
    assert len({cell_len(line[: line.index("812 MiB")]) for line in lines}) == 1


def test_rows_shows_everything_measured_in_human_units() -> None:
    fine = row(CACHE_MISS, {}, {"hit_ratio": None})
    text = shown(
        view(
            (UNUSED_INDEX, outcome(UNUSED_INDEX, index("a"), index("b", 5, Status.OK))),
            (CACHE_MISS, outcome(CACHE_MISS, fine)),
        ),
        rows=True,
    )
    lines = text.splitlines()
    assert "    status   database  schema  index  index_bytes  idx_scan  defined_as" in lines
    assert "    warning  shop      public  a          812 MiB         0  btree (note)" in lines
    assert "    ok       shop      public  b              5 B         0  btree (note)" in lines
    assert "    ok              –" in lines
    assert "unused_index   2 rows" in text


def test_a_server_nobody_has_asked_yet_is_not_ok() -> None:
    text = shown(view((CACHE_MISS, None), (UNUSED_INDEX, None), state=TargetState()))
    assert "  not run yet 2\n" in text
    assert "all ok" not in text


@pytest.mark.parametrize("reason", [*Reason, None])
@pytest.mark.parametrize(
    "target",
    [
        Target("a", Engine.POSTGRES, host="db", port=5432, user="u"),
        Target("a", Engine.POSTGRES, host="/run/postgresql", database="x"),
        Target("a", Engine.POSTGRES),
        Target("a", Engine.REDIS, host="/run/redis.sock"),
        Target("a", Engine.REDIS, host="::1", port=6379, tls=True, user="u"),
        Target("a", Engine.BACKUP),
    ],
    ids=["host", "socket", "nothing", "redis socket", "redis tls", "backup"],
)
def test_every_reason_has_something_to_try(reason: Reason | None, target: Target) -> None:
    text = shown(view(target=target, state=TargetState(up=False, reason=reason, message="it said no")))
    assert "  UNREACHABLE  " in text
    assert "it said no" in text
    assert len(text.splitlines()) >= 4
    assert "1 unreachable" in text


def test_what_was_seen_before_the_server_went_away_stays() -> None:
    gone = TargetState(up=False, reason=Reason.CONNECTION_LOST, message="the connection was closed")
    lost = failed(CACHE_MISS, Status.UNKNOWN, Reason.CONNECTION_LOST, "gone")
    text = shown(view((REPLICATION_SLOT, outcome(REPLICATION_SLOT, slot())), (CACHE_MISS, lost), state=gone))
    assert "UNREACHABLE" in text
    assert "CRITICAL  replication_slot" in text
    assert "1 check could not run" in text
