"""`dbwatch compat URL`: what of an exporter's page is supplied, said in text and JSON, and clear errors."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dbwatch.cli import compat as command
from dbwatch.cli.compat import run_compat
from dbwatch.errors import ConfigError

PAGE = """\
# TYPE go_goroutines gauge
go_goroutines 9
# TYPE pg_stat_database_xact_commit counter
pg_stat_database_xact_commit{datname="a b"} 5
pg_stat_database_xact_commit{datname="c"} 6
# TYPE pg_process_idle_seconds histogram
pg_process_idle_seconds_bucket{le="1"} 1
pg_process_idle_seconds_bucket{le="+Inf"} 1
pg_process_idle_seconds_sum 0
pg_process_idle_seconds_count 1
# TYPE pg_settings_work_mem_bytes gauge
pg_settings_work_mem_bytes 1
pg_my_own_query{x="1"} 1
pg_up 1
"""

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(page, status=200)`: the URL of a server that answers so; it wants the user u with the password p."""
    servers: list[ThreadingHTTPServer] = []

    def start(page: str, status: int = 200, **headers: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = "Basic " + base64.b64encode(b"u:p@ss").decode()
                self.send_response(status if self.headers.get("authorization") == wanted else 401)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(page.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://u:p%40ss@127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_text_and_json_say_the_same(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    url = serve(PAGE)
    assert run_compat(url, "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["exporter"] == "postgres_exporter"
    assert document["summary"] == {"same": 3, "renamed": 1, "dropped": 2}
    families = {family["family"]: family for family in document["families"]}
    assert families["pg_stat_database_xact_commit"] == {
        "family": "pg_stat_database_xact_commit",
        "type": "counter",
        "series": 2,
        "supplied": "same",
        "collector": "stat_database",
    }
    assert families["pg_settings_work_mem_bytes"]["collector"] == "settings"
    assert families["pg_process_idle_seconds"]["renamed_to"] == "dbwatch_pg_connections_idle"
    assert families["pg_process_idle_seconds"]["series"] == 4
    assert families["go_goroutines"]["reason"] == "the process of the exporter"
    assert families["pg_my_own_query"]["reason"] == "no query of ours asks for it"
    assert run_compat(url, "text") == 0
    text = capsys.readouterr().out
    assert "pg_process_idle_seconds  →  dbwatch_pg_connections_idle" in text
    assert text.rstrip().endswith("3 same, 1 renamed, 2 dropped")
    assert "p@ss" not in text + json.dumps(document)
    assert "p%40ss" not in text + json.dumps(document)


def test_a_page_that_is_none_of_an_exporter_is_refused(serve: Serve) -> None:
    with pytest.raises(ConfigError, match="has no family of an exporter that dbwatch stands in for"):
        run_compat(serve("<html>up 1\nnode_load1 3\n"), "text")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://db/metrics", "does not start with http"),
        ("db:9187", "does not start with http"),
        ("http://", "does not start with http"),
        ("http://db:port/", "is no URL"),
        ("http://127.0.0.1:1/metrics", "cannot be read: .*refused"),
    ],
)
def test_what_cannot_be_fetched_is_said(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run_compat(url, "text")


def test_answers_that_are_no_page(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="answers 503"):
        run_compat(serve(PAGE, status=503), "text")
    with pytest.raises(ConfigError, match="answers 401"):
        run_compat(serve(PAGE).replace("u:p%40ss", "u:wrong"), "text")
    with pytest.raises(ConfigError, match="answers 302"):  # it would take the password elsewhere
        run_compat(serve("", status=302, location="http://127.0.0.1:1/"), "text")
    monkeypatch.setattr(command, "_LARGEST_BYTES", 100)
    with pytest.raises(ConfigError, match="sends more than"):
        run_compat(serve(PAGE), "text")


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not a format of compat"):
        run_compat("http://db:9187", "xml")
