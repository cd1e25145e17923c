"""Rows 41 to 44: the endpoint as `dbwatch serve --web.config.file` runs it: TLS, client certificates, passwords.

One daemon for all of them, its target unreachable: the endpoint owes nobody a database. Its files are replaced and put
back.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGHUP
from typing import Any

import bcrypt
import httpx
import pytest

from tests.faults.authority import Authority, Pair
from tests.harness.daemon import Daemon
from tests.harness.prometheus import Prometheus
from tests.harness.waiting import eventually

PASSWORD = "Tr0ub4dor&3-correct"
GAUGE = "dbwatch_config_last_reload_successful"
OWN_PATHS = ("/", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/sd", "/compat/postgres_exporter", "/nowhere")


class Protected:
    """A daemon behind TLS, a client certificate and a password, and everything needed to change its mind."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.strangers = Authority(folder, "strangers")
        self.server = self.authority.issue("server")
        self.client = self.authority.issue("client", "DNS:prometheus.internal")
        self.spare = self.authority.issue("spare")
        self.hash = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        self.served = Pair(str(folder / "served.crt"), str(folder / "served.key"))
        self.clients = folder / "clients.crt"
        self.web = folder / "web.yml"
        self.server.copy_to(self.served)
        Path(self.served.key).chmod(0o600)
        self.clients.write_text(Path(self.authority.ca).read_text())
        self.good = (
            "tls_server_config:\n"
            "  cert_file: served.crt\n"
            "  key_file: served.key\n"
            "  client_auth_type: RequireAndVerifyClientCert\n"
            "  client_ca_file: clients.crt\n"
            "  client_allowed_sans: [prometheus.internal]\n"
            f"basic_auth_users: {{prom: '{self.hash}'}}\n"
        )
        self.web.touch(0o600)
        self.write(self.good)
        self.daemon = Daemon(
            ("--web.config.file", str(self.web), "--web.enable-reload", "--log-format", "json"),
            env={"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
            scheme="https",
            client={"verify": self.trusting(self.client), "auth": ("prom", PASSWORD)},
        )

    def write(self, text: str) -> None:
        new = self.web.with_suffix(".new")
        new.touch(0o600)
        new.write_text(text)
        new.replace(self.web)

    def trusting(self, client: Pair | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority.ca)
        if client is not None:
            context.load_cert_chain(*client)
        return context

    def ask(self, path: str, *, client: Pair | None, method: str = "GET", **options: Any) -> httpx.Response:
        with httpx.Client(base_url=self.daemon.url, verify=self.trusting(client), trust_env=False, timeout=30) as http:
            return http.request(method, path, **options)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.daemon.port), timeout=30)

    def secured(self) -> ssl.SSLSocket:
        return self.trusting(self.client).wrap_socket(self.connect(), server_hostname="localhost")

    def served_certificate(self) -> bytes | None:
        with self.secured() as peer:
            return peer.getpeercert(binary_form=True)

    def gauge(self) -> str:
        return next(line for line in self.daemon.metrics().splitlines() if line.startswith(GAUGE)).split()[1]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.daemon.log_events() if event["event"] == name]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Protected]:
    site = Protected(tmp_path_factory.mktemp("endpoint"))
    with site.daemon:
        yield site


@pytest.fixture(scope="module")
def prometheus(site: Protected) -> Iterator[Prometheus]:
    """Started by the first test: it takes five seconds until it scrapes what it was told."""
    allowed: dict[str, Any] = {
        "scheme": "https",
        "tls_config": {"ca_file": site.authority.ca, "cert_file": site.client.cert, "key_file": site.client.key},
        "basic_auth": {"username": "prom", "password": PASSWORD},
    }
    known = {**allowed, "static_configs": [{"targets": [f"127.0.0.1:{site.daemon.port}"]}]}
    unknown = {**known, "basic_auth": {"username": "prom", "password": "wrong"}}
    asking = {key: allowed[key] for key in ("tls_config", "basic_auth")}
    found = {**asking, "http_sd_configs": [{"url": f"{site.daemon.url}/sd", "refresh_interval": "1s", **asking}]}
    jobs = {"known": known, "unknown": unknown, "found": found}
    with Prometheus([{"job_name": name, **job} for name, job in jobs.items()]) as prometheus:
        yield prometheus


@pytest.fixture
def restored(site: Protected) -> Iterator[Protected]:
    """The site, and afterwards its files as they were and in force."""
    yield site
    site.server.copy_to(site.served)
    site.clients.write_text(Path(site.authority.ca).read_text())
    site.write(site.good)
    site.daemon.signal(SIGHUP)
    eventually(
        lambda: site.gauge() == "1.0" and site.served_certificate() == der(site.server),
        ignoring=(httpx.HTTPError, OSError, StopIteration),
    )


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(Path(pair.cert).read_text())


def is_open(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        return peer.recv(1) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


# -- row 41 ----------------------------------------------------------------------------------------


def threads(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


@pytest.mark.usefixtures("prometheus")
def test_row_41_silent_and_slow_peers_hold_up_no_scrape_and_are_sent_away(site: Protected) -> None:
    before = threads(site.daemon.pid)

    def flooded() -> list[socket.socket]:
        """340 peers that say nothing, half of a handshake, or half of a request; a scrape while they are all there."""
        peers = [site.connect() for _ in range(300)]
        for _ in range(20):
            peers.append(site.connect())
            peers[-1].sendall(b"\x16\x03\x01\x02\x00")
        for beginning in (b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n") * 10:
            peers.append(site.secured())
            peers[-1].sendall(beginning)
        assert "dbwatch_target_up" in site.daemon.metrics()
        assert threads(site.daemon.pid) <= before + 16
        if all(map(is_open, peers)):
            return peers
        for peer in peers:
            peer.close()
        return []

    peers = eventually(flooded, timeout=60, what="a scrape while 340 silent peers are there")
    eventually(lambda: not any(map(is_open, peers)), what="all of them sent away")
    for peer in peers:
        peer.close()


# -- row 42 ----------------------------------------------------------------------------------------


def test_row_42_a_real_prometheus_comes_in_with_certificate_and_password(prometheus: Prometheus) -> None:
    def healths() -> set[tuple[str, str]]:
        return {(target["labels"]["job"], target["health"]) for target in prometheus.targets()}

    eventually(lambda: healths() == {("known", "up"), ("found", "up"), ("unknown", "down")})
    errors = {target["labels"]["job"]: target["lastError"] for target in prometheus.targets()}
    assert "401" in errors["unknown"]
    assert prometheus.value('dbwatch_target_up{job="known"}') == 0.0


@pytest.mark.parametrize("path", OWN_PATHS)
def test_row_42_nothing_is_open_without_a_password(site: Protected, path: str) -> None:
    wrong = [None, ("prom", "wrong"), ("prom", ""), ("nobody", PASSWORD), ("", ""), ("prom", f"{PASSWORD}x")]
    answers = [site.ask(path, client=site.client, auth=auth) for auth in wrong]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.text for answer in answers} == {"unauthorized\n"}
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Basic realm="dbwatch", charset="UTF-8"'}
    assert "default-src 'none'" in answers[0].headers["content-security-policy"]
    right = site.ask(path, client=site.client, auth=("prom", PASSWORD)).status_code
    assert right != 401


def test_row_42_no_reload_without_a_password_nor_for_a_web_page(site: Protected) -> None:
    assert site.ask("/-/reload", client=site.client, method="POST").status_code == 401
    for header in ("origin", "referer", "sec-fetch-site"):
        sent = site.ask("/-/reload", client=site.client, method="POST", auth=("prom", PASSWORD), headers={header: "x"})
        assert sent.status_code == 403
    assert site.events("config reloaded") == []
    sent = site.ask("/-/reload", client=site.client, method="POST", auth=("prom", PASSWORD))
    assert (sent.status_code, sent.text) == (200, "reloaded\n")


def test_row_42_no_wrong_certificate_gets_an_answer(site: Protected) -> None:
    unnamed = site.authority.issue("unnamed", "DNS:other.internal")
    servers_only = site.authority.issue(
        "servers_only", "DNS:prometheus.internal", "-addext", "extendedKeyUsage=serverAuth"
    )
    foreign = site.strangers.issue("foreign", "DNS:prometheus.internal")
    for client in (None, unnamed, servers_only, foreign):
        with pytest.raises(httpx.TransportError):
            site.ask("/healthz", client=client, auth=("prom", PASSWORD))
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{site.daemon.port}/healthz", trust_env=False, timeout=30)
    assert site.ask("/healthz", client=site.client, auth=("prom", PASSWORD)).text == "ok\n"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_row_42_curl_comes_in_too(site: Protected) -> None:
    command = ["curl", "-sS", "--cacert", site.authority.ca, "--cert", site.client.cert]
    command += ["--key", site.client.key, "-u", f"prom:{PASSWORD}", f"https://localhost:{site.daemon.port}/healthz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


# -- row 43 ----------------------------------------------------------------------------------------

ODD: tuple[tuple[bytes, bytes], ...] = (
    (b"POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
    (b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
    (b"TRACE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
    (b"DELETE /-/reload HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
    (b"GET /probe?target=127.0.0.1:TRAP&module=http HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    (b"GET /compat/postgres_exporter/127.0.0.1:TRAP HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
    (b"GET /compat/http HTTP/1.1\r\nHost: 127.0.0.1:TRAP\r\nX-Forwarded-Host: 127.0.0.1:TRAP\r\n\r\n", b"404"),
    (b"GET http://127.0.0.1:TRAP/metrics HTTP/1.1\r\nHost: 127.0.0.1:TRAP\r\n\r\n", b"400"),
    (b"CONNECT 127.0.0.1:TRAP HTTP/1.1\r\nHost: 127.0.0.1:TRAP\r\n\r\n", b"400"),
    (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
    (b"GET /%6detrics HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
    (b"GET /..%2f..%2fetc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
    (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    (b"GET //127.0.0.1:TRAP/ HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
    (b"GET /metrics/ HTTP/1.1\r\nHost: 127.0.0.1:TRAP\r\n\r\n", b"404"),
    (b"GET /metrics?" + b"name[]=x&" * 1000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
    (b"GET /?" + b"refresh=" * 1000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
    (b"GET /metrics?" + b"name[]=x&" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1_048_576 + b"\r\n\r\n", b"431"),
    (b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 50_000 + b"\r\n", b"431"),
    (b"GET /metrics HTTP/1.1\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nHost: a b\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b"413"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"413"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", b"200"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", b"200"),
    (b"GET /healthz HTTP/1.0\r\n\r\n", b"200"),
    (b"GET /healthz\r\n\r\n", b"400"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
    (b"\x00\x01\x02\x03\r\n\r\n", b"400"),
)


def test_row_43_odd_requests_are_refused_and_cause_no_connection(site: Protected) -> None:
    credentials = httpx.BasicAuth("prom", PASSWORD)._auth_header.encode()
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        port = str(trap.getsockname()[1]).encode()
        for sent, status in ODD:
            # The password behind the request line: who is known may not ask for odd things either.
            line, end, rest = sent.replace(b"TRAP", port).partition(b"\r\n")
            known = line + end + (b"Authorization: " + credentials + end if b" HTTP/1" in line else b"") + rest
            with site.secured() as peer:
                peer.settimeout(30)
                _send_all(peer, known)
                answer = peer.recv(4096)
            assert answer.startswith(b"HTTP/1.1 " + status), (sent[:80], answer[:80])
            assert b"nosniff" in answer, sent[:80]
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert [event for event in site.daemon.log_events() if "exception" in event or event["logger"] == "asyncio"] == []


def _send_all(peer: socket.socket, data: bytes) -> None:
    # Refused before it was all said; what was answered is there to read.
    with suppress(OSError):
        peer.sendall(data)


def test_row_43_requests_in_a_row_are_answered_in_a_row(site: Protected) -> None:
    credentials = httpx.BasicAuth("prom", PASSWORD)._auth_header.encode()
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization: " + credentials + b"\r\n\r\n"
    with site.secured() as peer:
        peer.settimeout(30)
        peer.sendall(request * 5 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 200 OK") == 5
    # Every request for itself: the connection is not let in, the request is.
    assert answer.count(b"HTTP/1.1 401 ") == 1


# -- row 44 ----------------------------------------------------------------------------------------


def test_row_44_a_new_certificate_is_served_and_garbage_is_not(restored: Protected) -> None:
    site = restored
    assert site.served_certificate() == der(site.server)
    with httpx.Client(base_url=site.daemon.url, verify=site.trusting(site.client), trust_env=False, timeout=30) as held:
        requests = 0

        def renewed() -> bool:
            nonlocal requests
            assert held.get("/healthz", auth=("prom", PASSWORD)).status_code == 200
            requests += 1
            return site.served_certificate() == der(site.spare)

        assert held.get("/healthz", auth=("prom", PASSWORD)).status_code == 200
        connections = {id(each) for each in _connections(held)}
        site.spare.copy_to(site.served)
        eventually(renewed, every=0.2, what="the new certificate served")
        assert held.get("/healthz", auth=("prom", PASSWORD)).status_code == 200
        assert {id(each) for each in _connections(held)} == connections, "the connection from before was dropped"
    assert requests
    assert site.gauge() == "1.0"

    rejected = len(site.events("web config rejected"))
    Path(site.served.cert).write_text("garbage")
    eventually(lambda: site.gauge() == "0.0", what="the gauge says so")
    assert site.served_certificate() == der(site.spare)
    (event,) = site.events("web config rejected")[rejected:]
    assert "cert_file: holds no certificate" in event["problems"][0]
    assert event["changed"] == [site.served.cert]
    # The other half of a new pair, the rest still on its way.
    Path(site.served.cert).write_bytes(Path(site.server.cert).read_bytes())
    eventually(lambda: len(site.events("web config rejected")) == rejected + 2)
    assert "does not belong to the certificate" in site.events("web config rejected")[-1]["problems"][0]
    assert site.served_certificate() == der(site.spare)
    site.server.copy_to(site.served)
    eventually(lambda: site.gauge() == "1.0" and site.served_certificate() == der(site.server))


def _connections(client: httpx.Client) -> list[object]:
    pool: Any = client._transport
    return list(pool._pool.connections)


def test_row_44_authority_and_password_follow_their_files(restored: Protected) -> None:
    site = restored
    theirs = site.strangers.issue("theirs", "DNS:prometheus.internal")
    site.clients.write_text(Path(site.strangers.ca).read_text())
    other = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()
    site.write(site.good.replace(site.hash, other))
    eventually(
        lambda: site.ask("/healthz", client=theirs, auth=("prom", "other")).status_code == 200,
        ignoring=httpx.TransportError,
    )
    assert site.ask("/healthz", client=theirs, auth=("prom", PASSWORD)).status_code == 401
    with pytest.raises(httpx.TransportError):
        site.ask("/healthz", client=site.client, auth=("prom", "other"))


BREAKING: tuple[tuple[str, Callable[[str], str], str], ...] = (
    ("empty", lambda _: "", "is empty"),
    ("weaker policy", lambda good: good.replace("RequireAndVerify", "RequireAny"), "proves nothing"),
)


def test_row_44_a_bad_web_config_changes_nothing_until_a_good_one_comes(restored: Protected) -> None:
    site = restored
    for name, change, said in BREAKING:
        before = len(site.events("config rejected"))
        site.write(change(site.good))
        site.daemon.signal(SIGHUP)
        eventually(lambda n=before: len(site.events("config rejected")) > n, what=name)  # type: ignore[misc]
        assert said in str(site.events("config rejected")[-1]["problems"]), name
        assert site.gauge() == "0.0", name
        assert site.ask("/healthz", client=site.client).status_code == 401, name
        with pytest.raises(httpx.TransportError):
            site.ask("/healthz", client=None)
    site.write(site.good)
    site.daemon.signal(SIGHUP)
    eventually(lambda: site.gauge() == "1.0")


def test_row_50_the_endpoint_never_says_a_secret(site: Protected) -> None:
    """Last of this module: over everything that was logged and answered above."""
    said = "\n".join([*site.daemon.log_lines(), site.daemon.stdout_text(), site.daemon.metrics()])
    said += site.daemon.get("/").text + site.daemon.get("/api/v1/status").text
    assert "serving" in said
    for secret in (PASSWORD, site.hash[7:]):
        for start in range(len(secret) - 4):
            assert secret[start : start + 5] not in said
    assert "PRIVATE KEY" not in said


def test_a_web_config_that_cannot_be_used_ends_serve_at_once_with_every_problem(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: gone.crt}\nbasic_auth_users: {anna: plain}\nx: 1\n")
    command = [sys.executable, "-m", "dbwatch", "serve", "--web.config.file", str(web), "postgresql://a@127.0.0.1:1/b"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    for said in (
        "web.yml:1: tls_server_config.cert_file",
        "web.yml:1: tls_server_config.key",
        "web.yml:2:",
        "web.yml:3:",
    ):
        assert said in done.stderr
    assert "plain" not in done.stderr
