from __future__ import annotations

import base64
import datetime
import hashlib
import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dbwatch.catalogue import Check
from dbwatch.model import Outcome, Reason, Status
from dbwatch.report.baseline import compare, recorded
from dbwatch.report.statuspage import StatusPage
from dbwatch.store import Store, TargetState
from tests.unit.exposition.world import UNUSED_INDEX, answer, check_of, facts, index_row, no_answer, target_of

NOW = 1_700_000_000.0
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


class Reader(HTMLParser):
    """What a browser would see: the tags, their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.code: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        if tag == "code":
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        if "code" in self.open:
            self.code[-1] += data


class Page:
    """A store with one target and the checks `a` and `b`, shown at a fixed time."""

    def __init__(self, folder: Path) -> None:
        base = check_of(folder, "unused_index", UNUSED_INDEX)
        self.a: Check = replace(base, name="check_a", group="indexes")
        self.b: Check = replace(base, name="check_b", group="lock_waits")
        self.store = Store()
        self.store.register(target_of(), [self.a, self.b])
        self.store.set_state("orders", TargetState(True, facts=facts()))

    def put(self, *outcomes: Outcome) -> None:
        for outcome in outcomes:
            self.store.put(outcome)

    def html(self, *, refreshing: bool = True) -> str:
        return StatusPage(lambda: NOW).render(self.store.views(), refreshing=refreshing)

    def read(self) -> Reader:
        reader = Reader(self.html())
        assert reader.open == []
        return reader

    @property
    def headline(self) -> str:
        found = re.search("<h1>(.*)</h1>", self.html())
        assert found is not None
        return html.unescape(found[1])


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path)


def bad(check: Check, status: Status, *names: str, fix: str | None = None, wall: float = NOW - 7300) -> Outcome:
    return answer(check, *(index_row(name, status=status) for name in names), fix=fix, wall=wall)


def test_a_finding_is_shown_with_its_fix_ready_to_copy(page: Page) -> None:
    page.put(bad(page.a, Status.CRITICAL, "a_idx", fix='DROP INDEX "a_idx";'), answer(page.b))
    read = page.read()
    assert page.headline == "1 critical"
    assert "shop.a_idx is bad" in read.text
    assert read.code[0] == 'DROP INDEX "a_idx";'
    assert "dbwatch explain check_a" in read.code
    assert "for 2 h 2 min" in re.sub(r"\s+", " ", read.text)
    assert "PostgreSQL 17.2 · primary · db.internal:5432" in re.sub(r"\s+", " ", read.text)


def test_the_worst_comes_first(page: Page) -> None:
    page.put(bad(page.a, Status.WARNING, "mild"), bad(page.b, Status.CRITICAL, "severe"))
    text = page.read().text
    assert page.headline == "1 critical · 1 warning"
    assert text.index("shop.severe is bad") < text.index("shop.mild is bad")


def test_whatever_a_database_is_named_stays_text(page: Page) -> None:
    page.put(
        bad(page.a, Status.CRITICAL, HOSTILE, "x", fix=f"DROP INDEX {HOSTILE};"),
        replace(no_answer(page.b, summary=f"failed on {HOSTILE}"), remedy=HOSTILE),
    )
    page.store.set_state("orders", TargetState(False, Reason.REFUSED, HOSTILE, replace(facts(), version_text=HOSTILE)))
    read = page.read()
    assert not {"script", "img", "iframe"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert read.text.count(HOSTILE) >= 4
    assert f"DROP INDEX {HOSTILE};" in read.code


def test_as_a_report_it_stands_alone(page: Page) -> None:
    page.put(bad(page.a, Status.CRITICAL, HOSTILE, fix=f"DROP INDEX {HOSTILE};"), answer(page.b))
    read = Reader(StatusPage(lambda: NOW).report(page.store.views()))
    assert read.open == []
    assert f"DROP INDEX {HOSTILE};" in read.code
    assert not {"link", "img", "script", "footer"} & set(read.tags)
    assert not [value for name, value in read.attributes if name in ("href", "http-equiv")]
    assert "2023-11-14T22:13:20+00:00" in read.text
    assert " for " not in read.text.partition("why it matters")[0]


def test_a_report_marks_what_the_baseline_did_not_have(page: Page) -> None:
    page.put(bad(page.a, Status.WARNING, "a_idx"))
    known = recorded(page.store.views(), datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC))
    page.put(bad(page.a, Status.WARNING, "a_idx", "b_idx"))
    views = page.store.views()
    shown = StatusPage(lambda: NOW).report(views, compare(known, views))
    assert re.findall("<strong>(.*?)</strong>.*?<bdi>(.*?)</bdi>", shown) == [("new", "shop.b_idx is bad")]


def test_nothing_is_fetched_and_the_style_is_the_one_the_policy_allows(page: Page) -> None:
    shown = page.html()
    style = re.search("<style>(.*?)</style>", shown, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert StatusPage().style_hash == f"sha256-{digest}"
    read = Reader(shown)
    assert not {"link", "img", "script"} & set(read.tags)
    assert "style" not in dict(read.attributes)
    assert {value for name, value in read.attributes if name == "href"} == {
        "/metrics",
        "/api/v1/status",
        "?refresh=off",
    }
    assert not re.search(r"url\(|@import", style[1])


def test_the_page_refreshes_itself_until_told_not_to(page: Page) -> None:
    assert '<meta http-equiv="refresh" content="15">' in page.html()
    assert "http-equiv" not in page.html(refreshing=False)


def test_a_server_that_is_down_is_one_problem(page: Page) -> None:
    lost = [no_answer(check, reason=Reason.REFUSED, summary="connection refused") for check in (page.a, page.b)]
    page.put(*lost)
    page.store.set_state("orders", TargetState(False, Reason.REFUSED, "connection to db.internal:5432 refused"))
    read = page.read()
    assert page.headline == "1 down"
    assert "down: refused" in read.text
    assert "connection to db.internal:5432 refused" in read.text
    assert read.text.count("refused: connection refused") == 1
    assert "2 checks" in read.text
    assert "check_a, check_b" in read.text


def test_a_blind_check_says_why_and_what_would_help(page: Page) -> None:
    blind = no_answer(page.a, reason=Reason.PRIVILEGE, summary="permission denied")
    page.put(replace(blind, remedy="GRANT pg_monitor TO dbwatch;"))
    read = page.read()
    assert page.headline == "1 unknown"
    assert "privilege: permission denied" in read.text
    assert "GRANT pg_monitor TO dbwatch;" in read.code


def test_a_skipped_check_is_told_but_does_not_ask_for_anything(page: Page) -> None:
    page.put(no_answer(page.a, Status.SKIPPED, Reason.EXTENSION, summary="needs the extension x"), answer(page.b))
    read = page.read()
    assert page.headline == "All is well"
    assert "1 skipped" in read.text
    assert "extension: needs the extension x" in read.text
    assert "details" in read.tags


def test_a_first_reading_is_no_problem(page: Page) -> None:
    page.put(no_answer(page.a, reason=Reason.NO_BASELINE, summary="the first reading"), answer(page.b))
    assert page.headline == "All is well"
    assert "the first reading" in page.read().text


def test_many_findings_are_folded_not_lost(page: Page) -> None:
    page.put(bad(page.a, Status.WARNING, *(f"i{number}" for number in range(12))))
    read = page.read()
    assert "7 more" in read.text
    assert all(f"shop.i{number} is bad" in read.text for number in range(12))


def test_nothing_known_is_not_called_well(page: Page) -> None:
    page.store.set_state("orders", TargetState())
    assert page.headline == "Looking for the first time"
    assert "not reached yet" in page.read().text
    page.store.register(target_of("shop"), [page.a])
    page.put(answer(page.a, target="shop"))
    assert page.headline == "Looking for the first time"


def test_every_status_is_a_word_beside_its_colour(page: Page) -> None:
    page.put(bad(page.a, Status.CRITICAL, "x"), answer(page.b))
    read = page.read()
    words = re.findall(r'<span class="word (\w+)">(\w+)</span>', page.html())
    assert set(words) == {("critical", "critical"), ("ok", "ok")}
    assert "lock waits" in read.text


def test_no_targets_says_how_to_name_one() -> None:
    shown = StatusPage(lambda: NOW).render(())
    assert "DATABASE_URL" in shown
    assert Reader(shown).open == []


def test_what_was_found_is_shown_beside_what_could_not_be_looked_at(page: Page) -> None:
    found = bad(page.a, Status.CRITICAL, "a_idx")
    page.put(
        replace(
            found, status=Status.UNKNOWN, reason=Reason.LOCK, summary="1 databases could not be looked at: shop: locked"
        )
    )
    text = page.read().text
    assert "could not be looked at" in text
    assert "critical shop.a_idx is bad" in text
