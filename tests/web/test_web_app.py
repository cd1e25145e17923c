from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from dbwatch.exposition import Exposition
from dbwatch.model import Status
from dbwatch.store import Store, TargetState
from dbwatch.web import WebServer, create_app
from tests.unit.exposition.world import UNUSED_INDEX, Ticking, answer, check_of, facts, index_row, target_of

DOCUMENT: dict[str, object] = {"schema_version": 1, "status": "ok", "targets": [], "note": "half \ud800"}


class Site:
    """The application over a store with one target, served for real, and what its callables answer."""

    def __init__(self, folder: Path, reload: Callable[[], list[str]] | None = None) -> None:
        self.ready = self.alive = True
        self.store = Store()
        exposition = Exposition(self.store, Ticking())
        self.store.subscribe(exposition.update)
        check = self.check = check_of(folder, "unused_index", UNUSED_INDEX)
        self.store.register(target_of(), [check])
        self.store.set_state("orders", TargetState(True, facts=facts()))
        rows = [index_row(f"i{number}") for number in range(50)]
        self.store.put(answer(check, *rows, finished=10.0**12))
        app = create_app(
            self.store,
            exposition,
            ready=lambda: self.ready,
            alive=lambda: self.alive,
            document=lambda: DOCUMENT,
            reload=reload,
        )
        self.server = WebServer(app, "127.0.0.1", 0)
        self.server.start()
        self.client = httpx.Client(base_url=f"http://{self.server.address}", timeout=20)

    def close(self) -> None:
        self.client.close()
        self.server.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.fixture
def problems() -> list[str]:
    """What the next reload finds wrong."""
    return []


@pytest.fixture
def reloading(tmp_path: Path, problems: list[str]) -> Iterator[Site]:
    site = Site(tmp_path, lambda: problems)
    yield site
    site.close()


def test_metrics_are_text_unless_openmetrics_is_liked_better(site: Site) -> None:
    plain = site.client.get("/metrics")
    assert plain.status_code == 200
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'dbwatch_pg_unused_index_bytes{database="shop",index="i7",target="orders"} 1.0' in plain.text
    asked = site.client.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
    assert asked.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert asked.text.endswith("# EOF\n")
    assert "accept" in asked.headers["vary"]


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/"])
def test_compressed_only_for_those_who_take_it(site: Site, path: str, accepted: str, zipped: bool) -> None:
    with site.client.stream("GET", path, headers={"accept-encoding": accepted}) as response:
        raw = b"".join(response.iter_raw())
    assert (response.headers.get("content-encoding") == "gzip") is zipped
    assert int(response.headers["content-length"]) == len(raw)
    assert b"unused_index" in (gzip.decompress(raw) if zipped else raw)


def test_health_follows_the_scheduler_and_readiness_the_first_pass(site: Site) -> None:
    assert (site.client.get("/healthz").status_code, site.client.get("/readyz").status_code) == (200, 200)
    site.alive = False
    assert site.client.get("/healthz").status_code == 503
    assert site.client.get("/readyz").status_code == 200
    site.ready = False
    assert site.client.get("/readyz").status_code == 503
    assert site.client.get("/readyz").headers["content-type"].startswith("text/plain")


def test_health_does_not_depend_on_a_database(site: Site) -> None:
    site.store.set_state("orders", TargetState(up=False))
    assert site.client.get("/healthz").status_code == 200


def test_the_document_is_served_as_it_is(site: Site) -> None:
    response = site.client.get("/api/v1/status")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert json.loads(response.text) == DOCUMENT


def test_half_a_surrogate_pair_does_not_break_the_page(site: Site) -> None:
    site.store.put(answer(site.check, index_row("half \ud800 pair", status=Status.WARNING)))
    response = site.client.get("/")
    assert response.status_code == 200
    assert "shop.half ? pair is bad" in response.text


def test_service_discovery_names_the_address_asked_not_the_one_claimed(site: Site) -> None:
    response = site.client.get("/sd", headers={"host": "evil.example"})
    ((group),) = response.json()
    assert group["labels"] == {}
    assert group["targets"] == [site.server.address]
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/sd"])
def test_only_get_and_head(site: Site, path: str) -> None:
    got, headed = site.client.get(path), site.client.head(path)
    assert (got.status_code, headed.status_code) == (200, 200)
    assert headed.content == b""
    assert headed.headers["content-type"] == got.headers["content-type"]
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        refused = site.client.request(method, path)
        assert refused.status_code == 405, method
        assert {name.strip() for name in refused.headers["allow"].split(",")} == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "path", ["/probe?target=10.0.0.1", "/metrics/", "//metrics", "/debug", "/static/../metrics2", "/-/reload"]
)
def test_nothing_else_is_here(site: Site, path: str) -> None:
    for method in ("GET", "POST"):
        response = site.client.request(method, f"http://{site.server.address}{path}")
        assert response.status_code == 404


def test_reload_says_what_is_wrong(reloading: Site, problems: list[str]) -> None:
    client = reloading.client
    assert client.get("/-/reload").status_code == 405
    assert client.post("/-/reload").text == "reloaded\n"
    problems += ["dbwatch.yaml:3: targets.0.port: is not a number", "dbwatch.yaml:9: chekcs: unknown key"]
    refused = client.post("/-/reload")
    assert refused.status_code == 500
    assert refused.text.splitlines() == problems


@pytest.mark.parametrize("header", ["origin", "referer", "sec-fetch-site"])
def test_a_web_page_cannot_reload(reloading: Site, problems: list[str], header: str) -> None:
    problems.append("seen only when the reload was tried")
    refused = reloading.client.post("/-/reload", headers={header: "https://evil.example"})
    assert refused.status_code == 403
    assert "tried" not in refused.text


def test_reloads_do_not_wait_for_each_other(tmp_path: Path) -> None:
    started, held = threading.Event(), threading.Event()

    def reload() -> list[str]:
        started.set()
        assert held.wait(30)
        return []

    site = Site(tmp_path, reload)
    try:
        first = threading.Thread(target=site.client.post, args=("/-/reload",))
        first.start()
        assert started.wait(30)
        assert [site.client.post("/-/reload").status_code for _ in range(20)] == [503] * 20
        assert site.client.get("/metrics").status_code == 200
        held.set()
        first.join(30)
    finally:
        held.set()
        site.close()


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/nowhere"])
def test_a_browser_may_show_an_answer_and_nothing_more(site: Site, path: str) -> None:
    headers = site.client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers
