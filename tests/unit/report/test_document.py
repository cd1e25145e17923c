"""The JSON document: exact keys in their order, true numbers, strictly valid; other people's tools hold on to it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from dbwatch import __version__
from dbwatch.model import Outcome, Reason, Status
from dbwatch.report import Format, Manner, exit_code, overall, render
from dbwatch.report.document import document, document_text
from dbwatch.report.scalars import JsonValue
from dbwatch.store import TargetState, TargetView
from tests.unit.report.samples import (
    CACHE_MISS,
    CACHE_TARGET,
    REPLICATION_SLOT,
    SLOW_STATEMENT,
    UNUSED_INDEX,
    failed,
    healthy,
    index,
    no_extension,
    outcome,
    row,
    slot,
    troubled,
    unreachable,
    view,
)

STARTED = 1769853600.9  # 2026-01-31T10:00:00Z


def said(*views: TargetView, rows: bool = False) -> dict[str, JsonValue]:
    return document(views, started_at_seconds=STARTED, duration_seconds=1.42, rows=rows)


def first_check(made: dict[str, JsonValue]) -> dict[str, JsonValue]:
    targets = made["targets"]
    assert isinstance(targets, list)
    target = targets[0]
    assert isinstance(target, dict)
    checks = target["checks"]
    assert isinstance(checks, list)
    check = checks[0]
    assert isinstance(check, dict)
    return check


def first_target(made: dict[str, JsonValue]) -> dict[str, JsonValue]:
    targets = made["targets"]
    assert isinstance(targets, list)
    assert isinstance(targets[0], dict)
    return targets[0]


def test_the_document_is_what_the_design_says() -> None:
    one = outcome(UNUSED_INDEX, index("orders_note_idx", 327155712.0))
    made = said(
        view((UNUSED_INDEX, replace(one, duration_seconds=0.0123456789, database_seconds=0.0034567))), rows=True
    )
    check = first_check(made)
    assert isinstance(check["age_seconds"], float | int)
    assert 0 <= check["age_seconds"] < 60
    check["age_seconds"] = 0
    labels = {"database": "shop", "schema": "public", "index": "orders_note_idx"}
    values = {"index_bytes": 327155712, "idx_scan": 0}
    details = {"defined_as": "btree (note)"}
    wanted = {
        "schema_version": 1,
        "dbwatch_version": __version__,
        "status": "warning",
        "started_at": "2026-01-31T10:00:00Z",
        "duration_seconds": 1.42,
        "targets": [
            {
                "target": "orders",
                "engine": "postgres",
                "status": "warning",
                "reason": None,
                "server": {"version": "17.2", "role": "primary", "flavour": "postgresql"},
                "checks": [
                    {
                        "check": "unused_index",
                        "group": "indexes",
                        "status": "warning",
                        "reason": None,
                        "summary": "public.orders_note_idx (312 MiB) has had no scan for 41 days",
                        "duration_seconds": 0.012346,
                        "database_seconds": 0.003457,
                        "age_seconds": 0,
                        "findings": [
                            {
                                "key": "shop.public.orders_note_idx",
                                "status": "warning",
                                "message": "public.orders_note_idx (312 MiB) has had no scan for 41 days",
                                "fix": "DROP INDEX CONCURRENTLY public.orders_note_idx;",
                                "labels": labels,
                                "values": values,
                                "details": details,
                            }
                        ],
                        "rows": [
                            {
                                "labels": labels,
                                "values": values,
                                "status": "warning",
                                "key": "shop.public.orders_note_idx",
                                "details": details,
                            }
                        ],
                    }
                ],
                "address": "db.internal:5432",
                "up": True,
                "message": None,
                "pending_checks": 0,
            }
        ],
    }
    # Compared as text, so that the order of the keys is compared too.
    assert document_text(made) == json.dumps(wanted, indent=2, ensure_ascii=False) + "\n"


def test_rows_stand_there_only_when_asked_for() -> None:
    fine = view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("a", status=Status.OK))))
    assert "rows" not in first_check(said(fine))
    assert len(str(first_check(said(fine, rows=True))["rows"])) > 10


def test_what_is_seldom_there_is_added_only_when_it_is() -> None:
    plain = first_check(said(view((SLOW_STATEMENT, outcome(SLOW_STATEMENT)))))
    assert not {"remedy", "step", "lifetime", "truncated"} & set(plain)
    skipped = first_check(said(view((SLOW_STATEMENT, no_extension()))))
    assert skipped["status"] == "skipped"
    assert skipped["reason"] == "extension"
    assert str(skipped["remedy"]).startswith("CREATE EXTENSION")
    odd = replace(outcome(SLOW_STATEMENT), lifetime=True, dropped_rows=1)
    assert first_check(said(view((SLOW_STATEMENT, odd))))["lifetime"] is True
    assert first_check(said(view((SLOW_STATEMENT, odd))))["truncated"] is True


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.25, "0.25"),
        (None, "null"),
        (float("nan"), "null"),
        (float("inf"), "null"),
        (2.0**53, "9007199254740992"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_are_strict_json(value: float | None, text: str) -> None:
    made = said(view((CACHE_MISS, outcome(CACHE_MISS, row(CACHE_MISS, {}, {"hit_ratio": value})))), rows=True)
    assert f'"hit_ratio": {text}\n' in document_text(made)


def test_any_text_is_strict_json() -> None:
    hostile = 'a"b\\c\n\x00\x1b[31m\ud800é🔑'
    made = said(view((UNUSED_INDEX, outcome(UNUSED_INDEX, index(hostile)))), rows=True)
    text = document_text(made)
    text.encode()
    label = json.loads(text)["targets"][0]["checks"][0]["rows"][0]["labels"]["index"]
    assert label == 'a"b\\c\n\x00\x1b[31m\ufffdé🔑'


def test_checks_are_worst_first_then_by_group_and_name() -> None:
    target = first_target(said(troubled()))
    checks = target["checks"]
    assert isinstance(checks, list)
    statuses = [check["status"] for check in checks if isinstance(check, dict)]
    assert statuses == ["critical", "unknown", "warning", "warning", *["ok"] * 44, "skipped"]
    named = [check["check"] for check in checks if isinstance(check, dict)]
    assert named[:4] == ["replication_slot", "table_bloat", "idle_in_transaction", "unused_index"]


def test_a_check_that_has_not_run_is_counted_and_not_made_up() -> None:
    target = first_target(said(view((CACHE_MISS, outcome(CACHE_MISS)), (UNUSED_INDEX, None))))
    assert (target["status"], target["pending_checks"]) == ("ok", 1)
    untouched = view((UNUSED_INDEX, None), state=TargetState())
    target = first_target(said(untouched))
    assert (target["status"], target["server"], target["up"], target["checks"]) == ("unknown", None, None, [])


def test_an_unreachable_target_says_why() -> None:
    target = first_target(said(unreachable()))
    assert target["status"] == "unknown"
    assert target["reason"] == "refused"
    assert target["server"] is None
    assert target["up"] is False
    assert target["message"] == "Connection refused at cache:6379"


def test_a_target_that_is_unknown_through_a_check_has_its_reason() -> None:
    timed_out = failed(CACHE_MISS, Status.UNKNOWN, Reason.TIMEOUT, "no answer")
    assert first_target(said(view((CACHE_MISS, timed_out))))["reason"] == "timeout"
    critical = (REPLICATION_SLOT, outcome(REPLICATION_SLOT, slot()))
    assert first_target(said(view((CACHE_MISS, timed_out), critical)))["reason"] is None


def a(status: Status) -> TargetView:
    if status in (Status.UNKNOWN, Status.SKIPPED):
        made: Outcome = failed(CACHE_MISS, status, Reason.LOCK, "locked")
    else:
        made = replace(outcome(CACHE_MISS), status=status)
    return view((CACHE_MISS, made))


@pytest.mark.parametrize(
    ("views", "status", "code", "lenient"),
    [
        ([a(Status.OK)], Status.OK, 0, 0),
        ([a(Status.SKIPPED)], Status.OK, 0, 0),
        ([a(Status.WARNING)], Status.WARNING, 1, 0),
        ([a(Status.CRITICAL)], Status.CRITICAL, 2, 2),
        ([a(Status.UNKNOWN)], Status.UNKNOWN, 3, 3),
        ([a(Status.WARNING), a(Status.UNKNOWN)], Status.UNKNOWN, 3, 3),
        ([a(Status.CRITICAL), a(Status.UNKNOWN)], Status.CRITICAL, 2, 2),
        ([unreachable()], Status.UNKNOWN, 3, 3),
        ([unreachable(), a(Status.CRITICAL)], Status.CRITICAL, 2, 2),
        ([unreachable(), a(Status.WARNING)], Status.UNKNOWN, 3, 3),
        ([], Status.UNKNOWN, 3, 3),
        ([view((UNUSED_INDEX, None), state=TargetState())], Status.UNKNOWN, 3, 3),
    ],
)
def test_the_exit_code_is_the_worst_status(views: list[TargetView], status: Status, code: int, lenient: int) -> None:
    assert overall(views) is status
    assert exit_code(views) == code
    assert exit_code(views, Status.CRITICAL) == lenient
    assert said(*views)["status"] == str(status)


def test_every_format_ends_in_a_newline_and_names_the_target() -> None:
    views = [troubled(), unreachable(), healthy(target=CACHE_TARGET)]
    for kind in set(Format) - {Format.PROMETHEUS}:
        manner = Manner(color=False, width=0)
        text = render(kind, views, started_at_seconds=STARTED, duration_seconds=1, manner=manner)
        assert text.endswith("\n")
        assert re.search(r"\borders\b", text)
