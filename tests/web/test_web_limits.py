"""What is refused whoever asks, how many may come, and which peer goes when there are too many."""

from __future__ import annotations

from typing import Any

import pytest

from dbwatch.web.asked import Rate
from dbwatch.web.peers import Peers, most_peers
from dbwatch.web.refusals import LARGEST_HEADERS, Bucket, refusal


def scope(path: bytes = b"/metrics", **headers: bytes) -> dict[str, Any]:
    sent = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return {"raw_path": path, "query_string": b"", "headers": sent}


@pytest.mark.parametrize("host", [b"localhost", b"127.0.0.1:10187", b"[::1]:10187", b"db_1.internal", b"a-b.c:1"])
def test_an_ordinary_request_is_not_refused(host: bytes) -> None:
    assert refusal(scope(host=host)) is None
    assert refusal(scope(b"/compat/redis_exporter/cache-1_x", content_length=b"0", host=host)) is None
    assert refusal(scope()) is None


@pytest.mark.parametrize(
    "path",
    [
        b"http://evil.example/metrics",
        b"*",
        b"evil.example:443",
        b"/%6detrics",
        b"/metrics%00",
        b"/%2e%2e/etc/passwd",
        b"/a%2fb",
        b"/..\\..",
        b"/metrics;x",
        b"/compat/postgres_exporter/a%0d%0aset-cookie:x",
        b"/'\"<script>",
        b"",
    ],
)
def test_a_path_is_plain_words(path: bytes) -> None:
    refused = refusal(scope(path, host=b"localhost"))
    assert refused is not None
    assert refused[0] == 400


@pytest.mark.parametrize(
    "host", [b"", b"a b", b"a/b", b"user@host", b"host:", b"host:123456", b"a,b", b"[::1", b"h\xc3\xb6st", b"a%00"]
)
def test_a_host_is_a_host(host: bytes) -> None:
    refused = refusal(scope(host=host))
    assert refused is not None
    assert refused[0] == 400


@pytest.mark.parametrize("headers", [{"content_length": b"1"}, {"transfer_encoding": b"chunked"}])
def test_a_request_has_no_body(headers: dict[str, bytes]) -> None:
    assert refusal(scope(host=b"localhost", **headers)) == (413, "a request here has no body")


@pytest.mark.parametrize("large", [{"query_string": b"x" * LARGEST_HEADERS}, {"raw_path": b"/" * LARGEST_HEADERS}])
def test_a_request_that_comes_whole_is_measured_too(large: dict[str, bytes]) -> None:
    refused = refusal({**scope(host=b"x"), **large})
    assert refused is not None
    assert refused[0] == 431
    assert refusal(scope(cookie=b"x" * LARGEST_HEADERS)) is not None


def test_a_bucket_lets_a_burst_through_and_fills_again() -> None:
    now = [0.0]
    bucket = Bucket(Rate(0.5, 3), lambda: now[0])
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    now[0] = 1.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] = 1000.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


class Peer:
    def __init__(self, name: str, unread: int = 0) -> None:
        self.name = name
        self.unread = unread
        self.ended = False

    def abort(self) -> None:
        self.ended = True

    def unread_bytes(self) -> int:
        return 0 if self.ended else self.unread


def test_the_peer_heard_of_longest_ago_goes() -> None:
    peers = Peers(most=3)
    a, b, c, d, e = (Peer(name) for name in "abcde")
    for peer in (a, b, c):
        peers.arrived(peer)
    peers.asked(a)
    peers.arrived(d)
    assert [peer.name for peer in (a, b, c, d) if peer.ended] == ["b"]
    peers.left(c)
    peers.arrived(e)
    assert not c.ended
    assert len(peers) == 3
    peers.asked(b)
    assert len(peers) == 3
    peers.end_all()
    assert a.ended
    assert e.ended
    assert len(peers) == 0


def test_answers_that_nobody_takes_are_bounded_oldest_first() -> None:
    peers = Peers(most=10, most_unread_bytes=100)
    slow = [Peer(str(number), 40) for number in range(3)]
    reading = Peer("reading")
    for peer in (reading, *slow):
        peers.arrived(peer)
        peers.answered(peer)
    assert [peer.ended for peer in slow] == [True, False, False]
    large = Peer("large", 1000)
    peers.arrived(large)
    peers.answered(large)
    assert [peer.ended for peer in slow] == [True, True, True]
    assert not large.ended
    assert not reading.ended


@pytest.mark.parametrize(("files", "peers"), [(64, 32), (1024, 512), (-1, 512), (10, 8)])
def test_the_lanes_keep_half_of_the_files(files: int, peers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    assert most_peers() == peers
