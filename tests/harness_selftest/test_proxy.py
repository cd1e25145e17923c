"""Each mode of the proxy is the fault that its name says, for open connections and for new ones."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.harness import ports
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.waiting import consistently, eventually


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets, until the client's end."""
    claim = ports.claim()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", claim.number)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=[connection], daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield claim.number
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    claim.release()


@pytest.fixture
def proxy(echo: int, proxy_to: Callable[[int], Proxy]) -> Proxy:
    return proxy_to(echo)


@pytest.fixture
def peer(proxy: Proxy) -> Iterator[socket.socket]:
    """A connection through the proxy that has worked once."""
    with dial(proxy) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
        yield connection


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=20)


def hears_nothing(connection: socket.socket) -> None:
    connection.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(20)


def first_byte(proxy: Proxy) -> bytes:
    """What a new connection hears first. A reset may come as early as in its connect."""
    with dial(proxy) as connection:
        return connection.recv(1)


def test_pass_carries_sessions_of_a_real_server(newest_pg: Postgres, proxy_to: Callable[[int], Proxy]) -> None:
    proxy = proxy_to(newest_pg.port)
    with psycopg.connect(proxy.url(newest_pg.url())) as session:
        assert session.execute("SELECT sum(n) FROM generate_series(1, 100000) n").fetchone() == (5000050000,)
    assert proxy.accepted == 1
    eventually(lambda: proxy.open_connections == 0)


def test_refuse_closes_the_port_and_resets_who_is_there(proxy: Proxy, peer: socket.socket) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    proxy.pass_()
    with dial(proxy) as again:
        again.sendall(b"x")
        assert again.recv(1) == b"x"


def test_deaf_accepts_and_never_answers(proxy: Proxy, peer: socket.socket) -> None:
    proxy.deaf()
    for connection in (peer, dial(proxy)):
        with connection:
            connection.sendall(b"x")
            hears_nothing(connection)


def test_freeze_loses_nothing(proxy: Proxy, peer: socket.socket) -> None:
    proxy.freeze()
    peer.sendall(b"later")
    hears_nothing(peer)
    proxy.pass_()
    assert peer.recv(100) == b"later"


def test_drip_keeps_the_pace(proxy: Proxy, peer: socket.socket) -> None:
    proxy.drip(200)
    start = time.monotonic()
    peer.sendall(b"x" * 100)
    assert len(peer.recv(1000)) < 50
    received = 0
    while received < 40:
        received += len(peer.recv(1000))
    assert time.monotonic() - start > 0.15


def test_reset_ends_open_and_new_connections(proxy: Proxy, peer: socket.socket) -> None:
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    with pytest.raises(ConnectionResetError):
        first_byte(proxy)


def test_half_close_ends_only_the_servers_side(proxy: Proxy, peer: socket.socket) -> None:
    proxy.half_close()
    assert peer.recv(1) == b""
    peer.sendall(b"still taken")
    consistently(lambda: proxy.open_connections == 1, during=0.1)


def test_cut_after_cuts_there(proxy: Proxy, peer: socket.socket) -> None:
    proxy.cut_after(4)
    peer.sendall(b"123")
    assert peer.recv(100) == b"123"
    peer.sendall(b"456")
    try:
        assert peer.recv(100) == b"4"
    except ConnectionResetError:
        pass  # a reset may overtake what the kernel still held
    else:
        with pytest.raises(ConnectionResetError):
            peer.recv(100)
    assert eventually(lambda: proxy.open_connections == 0)


def test_a_server_that_is_gone_is_a_reset(proxy_to: Callable[[int], Proxy]) -> None:
    nobody = ports.claim()
    proxy = proxy_to(nobody.number)
    with pytest.raises(ConnectionResetError):
        first_byte(proxy)
    nobody.release()
