from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dbwatch.errors import ConfigError
from dbwatch.exposition import Exposition
from dbwatch.store import Store
from dbwatch.web import WebServer, create_app
from dbwatch.web.peers import Peers
from dbwatch.web.server import WORKERS
from dbwatch.web.timeouts import TimedProtocol
from tests.harness.waiting import eventually
from tests.unit.exposition.world import UNUSED_INDEX, Ticking, answer, check_of, index_row, target_of


def application(folder: Path) -> WebServer:
    store = Store()
    exposition = Exposition(store, Ticking())
    store.subscribe(exposition.update)
    check = check_of(folder, "unused_index", UNUSED_INDEX)
    store.register(target_of(), [check])
    store.put(answer(check, *(index_row(f"i{number}") for number in range(400)), finished=10.0**12))
    app = create_app(store, exposition, ready=lambda: True, alive=lambda: True, document=lambda: {"a": 1})
    return WebServer(app, "127.0.0.1", 0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebServer]:
    server = application(tmp_path)
    server.start()
    yield server
    server.stop()


def connect(server: WebServer) -> socket.socket:
    host, port = server.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=20)


def get(server: WebServer, path: str, method: str = "GET") -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(server.address, timeout=20)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.headers, body


def test_a_free_port_is_found_and_told(server: WebServer) -> None:
    assert server.running
    assert not server.address.endswith(":0")
    status, headers, body = get(server, "/metrics")
    assert status == 200
    assert b"dbwatch_pg_unused_index_bytes" in body
    assert headers["server"] is None
    assert get(server, "/sd")[2].decode() == f'[{{"targets": ["{server.address}"], "labels": {{}}}}]'


def test_head_sends_no_body(server: WebServer) -> None:
    status, headers, body = get(server, "/healthz", "HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", "3")


def test_nonsense_is_refused(server: WebServer) -> None:
    for sent, status in (
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 40_000, b"431"),
    ):
        with connect(server) as peer:
            peer.sendall(sent)
            assert peer.recv(100).startswith(b"HTTP/1.1 " + status + b" ")
    assert get(server, "/healthz")[0] == 200


def test_silent_and_slow_peers_are_sent_away_and_hold_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TimedProtocol, "request_seconds", 0.5)
    server = application(tmp_path)
    server.start()
    try:
        peers = [connect(server) for _ in range(60)]
        for peer in peers[:30]:
            peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        assert get(server, "/metrics")[0] == 200
        dripping = threading.Thread(target=_drip, args=(peers[0],))
        dripping.start()
        for peer in peers[1:]:
            assert _ended(peer)
        dripping.join(20)
        assert not dripping.is_alive()
        for peer in peers:
            peer.close()
    finally:
        server.stop()


def _drip(peer: socket.socket) -> None:
    """Send a header a byte at a time until the server has had enough."""
    peer.settimeout(0.05)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            peer.sendall(b"x")
            if peer.recv(1) == b"":
                return
        except TimeoutError:
            continue
        except OSError:
            return
    pytest.fail("the server waited for good")


def _ended(peer: socket.socket) -> bool:
    try:
        return peer.recv(1) == b""
    except ConnectionResetError:
        return True


def test_more_peers_than_there_may_be_push_each_other_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbwatch.web.server.Peers", lambda: Peers(most=20))
    server = application(tmp_path)
    server.start()
    try:
        peers = [connect(server) for _ in range(60)]
        assert get(server, "/metrics")[0] == 200
        # Long before their time is up, those that came first are gone and the last are not.
        for peer in peers[:40]:
            assert _ended(peer)
        peers[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peers[-1].recv(100).startswith(b"HTTP/1.1 200 ")
        for peer in peers:
            peer.close()
    finally:
        server.stop()


def test_few_threads_answer_however_many_ask() -> None:
    held, working, busiest = threading.Event(), 0, 0
    counting = threading.Lock()

    def slow(_: Request) -> Response:
        nonlocal working, busiest
        with counting:
            working += 1
            busiest = max(busiest, working)
        assert held.wait(30)
        with counting:
            working -= 1
        return PlainTextResponse("done")

    async def light(_: Request) -> Response:
        return PlainTextResponse("light")

    server = WebServer(Starlette(routes=[Route("/slow", slow), Route("/light", light)]), "127.0.0.1", 0)
    server.start()
    try:
        peers = [connect(server) for _ in range(3 * WORKERS)]
        for peer in peers:
            peer.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        eventually(lambda: working == WORKERS)
        assert get(server, "/light")[2] == b"light"
        held.set()
        for peer in peers:
            assert peer.recv(100).startswith(b"HTTP/1.1 200 ")
            peer.close()
        assert busiest == WORKERS
    finally:
        held.set()
        server.stop()


def test_nonsense_after_half_a_request_leaves_no_traceback(server: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    for path in (b"/healthz", b"/metrics"):
        with connect(server) as peer:
            peer.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
            assert _ended(peer)
    assert get(server, "/healthz")[0] == 200
    assert caplog.records == []


def test_a_peer_that_does_not_read_its_answer_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimedProtocol, "answer_seconds", 0.5)
    server = application(tmp_path)
    server.start()
    try:
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            host, port = server.address.rsplit(":", 1)
            peer.connect((host, int(port)))
            peer.settimeout(20)
            # More answers than both sides' buffers hold, asked for and never read.
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000_000)
    finally:
        server.stop()


def test_stop_ends_connections_and_thread_and_frees_the_port(tmp_path: Path) -> None:
    server = application(tmp_path)
    server.start()
    host, port = server.address.rsplit(":", 1)
    with connect(server):
        server.stop()
    assert not server.running
    server.stop()
    with socket.create_server((host, int(port))):
        pass


def test_an_address_that_is_taken_is_said_in_one_line(server: WebServer) -> None:
    host, port = server.address.rsplit(":", 1)
    second = WebServer(_nothing, host, int(port))
    with pytest.raises(ConfigError, match=rf"{server.address} cannot be listened on: Address already in use"):
        second.start()
    assert not second.running
    with pytest.raises(ConfigError, match="cannot be listened on"):
        WebServer(_nothing, "no.such.host.invalid", 1).start()


def test_an_ipv6_address_is_written_with_brackets() -> None:
    assert WebServer(_nothing, "::1", 10187).address == "[::1]:10187"


async def _nothing(*_: object) -> None:
    raise NotImplementedError
