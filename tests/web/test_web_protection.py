"""The protection in force: TLS, client certificates, headers and limits as the file says, now and when it changes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from dbwatch.config import Config, zero_config
from dbwatch.daemon import Daemon
from dbwatch.errors import ConfigError
from dbwatch.web import Protection, WebServer, exposure, protection
from dbwatch.web.asked import Settings
from dbwatch.web.door import Door
from dbwatch.web.timeouts import TimedProtocol
from dbwatch.web.users import Users
from tests.faults.authority import Authority, Pair
from tests.harness.waiting import consistently, eventually

HASH = bcrypt.hashpw(b"sesame", bcrypt.gensalt(4)).decode()
LARGE = b"x" * (16 * 1024 * 1024)


async def small_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Says hello, or a great deal."""
    answer: Response = PlainTextResponse("hello\n") if scope["path"] == "/" else Response(LARGE)
    await answer(scope, receive, send)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], WebServer]]:
    """`serve(text)`: a server under this web config."""
    with ExitStack() as stack:

        def start(text: str) -> WebServer:
            (tmp_path / "web.yml").write_text(text)
            server = WebServer(small_app, "127.0.0.1", 0, Protection(tmp_path / "web.yml"))
            server.start()
            stack.callback(server.stop)
            return server

        yield start


def client(authority: Authority, own: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.ca)
    if own is not None:
        context.load_cert_chain(*own)
    return context


def get(server: WebServer, path: str = "/", *, tls: ssl.SSLContext | None = None, **options: Any) -> httpx.Response:
    scheme = "https" if tls is not None else "http"
    with httpx.Client(verify=tls if tls is not None else False, trust_env=False, timeout=30) as http:
        return http.get(f"{scheme}://{server.address}{path}", **options)


def test_configured_headers_replace_ours_and_hsts_needs_tls(
    serve: Callable[[str], WebServer], authority: Authority, pair: Pair
) -> None:
    headers = "http_server_config: {headers: {Strict-Transport-Security: max-age=9, X-Frame-Options: sameorigin}}\n"
    plain = get(serve(headers)).headers
    assert plain["x-frame-options"] == "sameorigin"
    assert "strict-transport-security" not in plain
    secured = get(
        serve(f"{headers}tls_server_config: {{cert_file: {pair.cert}, key_file: {pair.key}}}"), tls=client(authority)
    ).headers
    assert secured["strict-transport-security"] == "max-age=9"
    assert secured["x-content-type-options"] == "nosniff"


def test_a_rate_limit_holds_for_all_and_says_so(serve: Callable[[str], WebServer]) -> None:
    server = serve("rate_limit: {interval: 1h, burst: 3}")
    answers = [get(server, path) for path in ("/", "/nowhere", "/", "/", "/%00")]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].headers["x-content-type-options"] == "nosniff"


def test_a_certificate_if_given_is_verified(
    serve: Callable[[str], WebServer], authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    foreign = Authority(tmp_path, "foreign").issue("stranger")
    server = serve(
        f"tls_server_config: {{cert_file: {pair.cert}, key_file: {pair.key}, client_ca_file: {authority.ca}, "
        "client_auth_type: VerifyClientCertIfGiven}"
    )
    assert get(server, tls=client(authority)).status_code == 200
    assert get(server, tls=client(authority, pair)).status_code == 200
    with pytest.raises(httpx.TransportError):
        get(server, tls=client(authority, foreign))


def test_a_slow_reader_over_tls_has_the_time_of_an_answer_not_of_a_request(
    serve: Callable[[str], WebServer], authority: Authority, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TimedProtocol, "request_seconds", 0.5)
    server = serve(f"tls_server_config: {{cert_file: {pair.cert}, key_file: {pair.key}}}")
    with (
        httpx.Client(verify=client(authority), trust_env=False, timeout=30) as http,
        http.stream("GET", f"https://{server.address}/large") as answer,
    ):
        consistently(lambda: answer.status_code == 200, during=1.2, every=0.3)
        assert sum(map(len, answer.iter_raw())) == len(LARGE)


def test_a_handshake_has_a_limit_of_its_own(
    serve: Callable[[str], WebServer], pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "handshake_seconds", 0.3)
    monkeypatch.setattr(TimedProtocol, "request_seconds", 600.0)
    server = serve(f"tls_server_config: {{cert_file: {pair.cert}, key_file: {pair.key}}}")
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as peer:
        peer.sendall(b"\x16\x03\x01\x02\x00")
        with suppress(ConnectionResetError):
            assert peer.recv(1) == b""
    eventually(lambda: len(server._peers) == 0)


# -- following the files ---------------------------------------------------------------------------


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Protection, Path, list[bool]]]:
    """Followed twenty times a second: the protection, its file, and what it told."""
    monkeypatch.setattr(protection, "LOOK_SECONDS", 0.05)
    told: list[bool] = []
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{anna: '{HASH}'}}\n")
    followed = Protection(path, told.append)
    followed.start()
    yield followed, path, told
    followed.stop()


def accepts(found: Protection, name: bytes) -> bool:
    return found.current.users is not None and found.current.users.accepts(name, b"sesame")


def test_what_cannot_be_used_changes_nothing_and_is_told_once(followed: tuple[Protection, Path, list[bool]]) -> None:
    found, path, told = followed
    path.write_text("basic_auth_users: {anna: plain}\n")
    eventually(lambda: told == [False])
    path.unlink()
    eventually(lambda: told == [False, False])
    consistently(lambda: told == [False, False] and accepts(found, b"anna"), during=0.3)
    path.write_text(f"basic_auth_users: {{bert: '{HASH}'}}\n")
    eventually(lambda: told == [False, False, True])
    assert accepts(found, b"bert")
    assert not accepts(found, b"anna")


def test_a_mounted_secret_is_followed_through_its_links(
    followed: tuple[Protection, Path, list[bool]], tmp_path: Path
) -> None:
    found, path, told = followed
    for name in ("anna", "bert"):
        (tmp_path / f"..{name}").mkdir()
        (tmp_path / f"..{name}" / "web.yml").write_text(f"basic_auth_users: {{{name}: '{HASH}'}}\n")
    (tmp_path / "..data").symlink_to("..anna")
    path.unlink()
    path.symlink_to("..data/web.yml")
    eventually(lambda: told[-1:] == [True])
    (tmp_path / "..new").symlink_to("..bert")
    (tmp_path / "..new").replace(tmp_path / "..data")
    eventually(lambda: accepts(found, b"bert"))


def test_a_file_that_is_still_being_written_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands there for a moment may be valid and mean less: the users come last."""
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{anna: '{HASH}'}}\n")
    found = Protection(path)
    looks = iter([False, False, True])
    sizes = iter(["{}\n", "{}\n#\n", f"basic_auth_users: {{bert: '{HASH}'}}\n"])
    seen: list[bool] = []

    def wait(_: float) -> bool:
        """Instead of the pause between two looks, the writer writes on."""
        seen.append(found.current.users is not None)
        if (text := next(sizes, None)) is not None:
            path.write_text(text)
            return False
        return next(looks)

    monkeypatch.setattr(found._ending, "wait", wait)
    found._follow(path)
    assert all(seen)
    assert accepts(found, b"bert")


def test_without_a_file_nothing_is_asked_and_no_thread_runs() -> None:
    found = Protection()
    found.start()
    assert found.current == Settings()
    assert found._thread is None


def test_a_file_with_problems_is_no_protection(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("x: 1\ny: 2\n")
    with pytest.raises(ConfigError) as caught:
        Protection(tmp_path / "web.yml")
    assert len(caught.value.problems) == 2


def test_the_gauge_is_good_when_both_files_are(tmp_path: Path) -> None:
    readings = iter([None, ConfigError.of("dbwatch.yaml", "broken"), None])

    def read() -> Config:
        if (error := next(readings, None)) is not None:
            raise error
        return zero_config(["postgresql://nobody@127.0.0.1:1/none"])

    (tmp_path / "web.yml").write_text("{}")
    daemon = Daemon(read, "127.0.0.1", 0, web_config=tmp_path / "web.yml", owns_process=False)

    def gauge() -> bool:
        return b"dbwatch_config_last_reload_successful 1.0" in daemon.exposition.page()

    assert gauge()
    assert daemon.reload() == ["dbwatch.yaml: broken"]
    daemon._web_config_read(True)
    assert not gauge()
    (tmp_path / "web.yml").write_text("x: 1")
    assert len(daemon.reload()) == 1
    daemon._web_config_read(False)
    (tmp_path / "web.yml").write_text("{}")
    assert daemon.reload() == []
    assert gauge()


def test_both_files_problems_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("x: 1")

    def read() -> Config:
        raise ConfigError.of("dbwatch.yaml", "broken")

    with pytest.raises(ConfigError) as caught:
        Daemon(read, "127.0.0.1", 0, web_config=tmp_path / "web.yml")
    assert [problem.file for problem in caught.value.problems] == ["dbwatch.yaml", str(tmp_path / "web.yml")]


def test_who_listens_to_others_without_protection_is_told() -> None:
    users = Users({})
    for own in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        assert exposure(Settings(), own) is None
    for others in ("0.0.0.0", "::", "10.0.0.1", "db.internal"):
        assert "whoever reaches this port" in str(exposure(Settings(), others))
        assert "clear text" in str(exposure(Settings(users=users), others))
        assert exposure(Settings(verifies_clients=True), others) is None
