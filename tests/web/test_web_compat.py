"""The compatibility pages over HTTP: always the text format, 404 that names what there is, and targets to discover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from dbwatch.exposition import CompatPages, Exposition
from dbwatch.store import Store, TargetState
from dbwatch.web import WebServer, create_app
from tests.unit.catalogue.test_collectors import GOOD, collectors_of
from tests.unit.exposition.test_compat_pages import slot
from tests.unit.exposition.world import Ticking, answer, facts, target_of

PATH = "/compat/postgres_exporter"


@dataclass(frozen=True, slots=True)
class Site:
    client: httpx.Client
    address: str


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    store = Store()
    exposition, compat = Exposition(store, Ticking()), CompatPages(store)
    (check,) = collectors_of(tmp_path, slots=GOOD)
    for name in ("orders", "stock"):
        target = target_of(name)
        store.register(target, [])
        store.set_state(name, TargetState(True, facts=facts()))
        rows = [slot(f"s{number}") for number in range(50)]
        compat.update(target, check, answer(check, *rows, target=name, finished=10.0**12))
    app = create_app(
        store, exposition, compat=compat, ready=lambda: True, alive=lambda: True, document=lambda: {"targets": []}
    )
    server = WebServer(app, "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://{server.address}", timeout=20) as client:
        yield Site(client, server.address)
    server.stop()


def test_everybody_gets_the_text_format(site: Site) -> None:
    for accept in ("application/openmetrics-text;version=1.0.0,text/plain;q=0.1", "text/plain", "*/*"):
        page = site.client.get(f"{PATH}/orders", headers={"accept": accept})
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert page.headers["content-encoding"] == "gzip"
        assert "# TYPE pg_slot_commits counter" in page.text
    plain = site.client.get(f"{PATH}/orders", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == page.text


def test_unknown_pages_are_not_found_and_name_the_known_ones(site: Site) -> None:
    for path, told in (
        ("/compat/mysqld_exporter", "postgres_exporter, redis_exporter"),
        (f"{PATH}/nix", "there are orders, stock"),
        ("/compat/redis_exporter", "no Redis target"),
        ("/sd?compat=nix", "postgres_exporter, redis_exporter"),
    ):
        page = site.client.get(path)
        assert page.status_code == 404
        assert told in page.text
    assert site.client.get("/compat").status_code == 404
    assert site.client.get(f"{PATH}/orders/more").status_code == 404
    assert site.client.post(f"{PATH}/orders").status_code == 405


def test_a_page_that_nothing_was_read_for_is_asked_for_again_and_not_called_empty(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CompatPages, "_is_unread", lambda *_: True)
    page = site.client.get(f"{PATH}/orders")
    assert (page.status_code, page.headers["retry-after"]) == (503, "15")
    assert "is being made now" in page.text


def test_pages_can_be_discovered(site: Site) -> None:
    found = site.client.get("/sd", params={"compat": "postgres_exporter"}).json()
    assert [group["targets"] for group in found] == [[site.address]] * 2
    labels = [group["labels"] for group in found]
    assert [label["__metrics_path__"] for label in labels] == [f"{PATH}/orders", f"{PATH}/stock"]
    assert {label["instance"] for label in labels} == {"db.internal:5432"}
    for label in labels:
        assert site.client.get(label["__metrics_path__"]).status_code == 200


def test_the_metrics_page_has_nothing_of_it(site: Site) -> None:
    assert "pg_slot" not in site.client.get("/metrics").text
