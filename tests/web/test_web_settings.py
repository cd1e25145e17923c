"""The web-config file: what it takes, what it refuses, and that no problem says a secret."""

from __future__ import annotations

import ssl
import textwrap
from pathlib import Path

import bcrypt
import pytest

from dbwatch.web.asked import Loaded, Settings
from dbwatch.web.settings import load_settings
from tests.faults.authority import Authority, Pair

HASH = bcrypt.hashpw(b"sesame", b"$2b$04$abcdefghijklmnopqrstuu").decode()
"""With a salt of its own: it stands in the names of tests, which every worker has to give alike."""


@pytest.fixture(scope="module")
def other(authority: Authority) -> Pair:
    return authority.issue("other")


@pytest.fixture
def folder(tmp_path: Path, authority: Authority, pair: Pair) -> Path:
    """Where the file lies, with what it may name beside it."""
    for name, source in (("server.crt", pair.cert), ("server.key", pair.key), ("ca.crt", authority.ca)):
        (tmp_path / name).write_bytes(Path(source).read_bytes())
    (tmp_path / "server.key").chmod(0o600)
    return tmp_path


def load(folder: Path, text: str) -> Loaded:
    path = folder / "web.yml"
    path.write_text(textwrap.dedent(text))
    path.chmod(0o600)
    return load_settings(path)


def good(folder: Path, text: str) -> Settings:
    loaded = load(folder, text)
    assert loaded.problems == ()
    assert loaded.settings is not None
    return loaded.settings


def problems(folder: Path, text: str) -> str:
    loaded = load(folder, text)
    assert loaded.settings is None
    return "\n".join(map(str, loaded.problems))


PAIR = "cert_file: server.crt, key_file: server.key"


def test_every_key_of_the_format_is_taken(folder: Path, authority: Authority) -> None:
    settings = good(
        folder,
        f"""
        tls_server_config:
          cert_file: server.crt
          key_file: {folder}/server.key
          client_ca_file: ca.crt
          client_auth_type: RequireAndVerifyClientCert
          client_allowed_sans: [prom.internal, "::1"]
          min_version: TLS12
          max_version: TLS13
          cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
          prefer_server_cipher_suites: false
          curve_preferences: [CurveP384]
        http_server_config:
          http2: true
          headers:
            X-Frame-Options: sameorigin
            Strict-Transport-Security: max-age=60
            X-XSS-Protection: ""
        basic_auth_users:
          prom: {HASH}
        rate_limit: {{interval: 1m30s, burst: 20}}
        """,
    )
    assert settings.tls is not None
    assert settings.verifies_clients
    suites = [suite["name"] for suite in settings.tls.context.get_ciphers() if suite["protocol"] == "TLSv1.2"]
    assert suites == ["ECDHE-ECDSA-AES128-GCM-SHA256"]
    assert settings.tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert settings.tls.admits({"subjectAltName": (("IP Address", "0:0:0:0:0:0:0:1"),)})
    assert settings.tls.admits({"subjectAltName": (("DNS", "other"), ("DNS", "prom.internal"))})
    assert not settings.tls.admits({"subjectAltName": (("DNS", "PROM.internal2"),)})
    assert not settings.tls.admits({})
    assert not settings.tls.admits(None)
    assert settings.users is not None
    assert settings.users.accepts(b"prom", b"sesame")
    assert settings.headers == {"x-frame-options": "sameorigin", "strict-transport-security": "max-age=60"}
    assert settings.rate is not None
    assert (settings.rate.interval_seconds, settings.rate.burst) == (90.0, 20)
    assert settings.notes == ("http2 is not spoken here: every connection is HTTP/1.1",)


def test_inline_certificates_leave_no_file_behind(folder: Path, pair: Pair) -> None:
    cert, key = (textwrap.indent(Path(path).read_text(), "    ") for path in pair)
    text = f"tls_server_config:\n  cert: |\n{cert}  key: |\n{key}"
    before = sorted(folder.iterdir())
    assert good(folder, text).tls is not None
    assert [path for path in folder.iterdir() if path not in before] == [folder / "web.yml"]


@pytest.mark.parametrize("text", ["{}", "basic_auth_users: {}", "tls_server_config: {}", "rate_limit: {interval: 0}"])
def test_asking_for_nothing_has_to_be_said(folder: Path, text: str) -> None:
    assert good(folder, text) == Settings()


@pytest.mark.parametrize("text", ["", "# nothing\n", "tls_server_config:\n", "basic_auth_users:\n"])
def test_a_file_that_says_nothing_where_protection_was_meant_is_refused(folder: Path, text: str) -> None:
    assert "is empty" in problems(folder, text)


def test_all_problems_at_once_each_at_its_line(folder: Path) -> None:
    said = problems(
        folder,
        """\
        tls_server_config:
          cert_file: missing.crt
          key_fil: server.key
          min_version: TLS10
          cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]
        http_server_config:
          headers: {Server: x}
        basic_auth_users:
          anna: secret
        rate_limit: {interval: 10, burst: 0}
        auth_excluded_paths: [/metrics]
        """,
    )
    at = {int(line.split(":", 2)[1]): line for line in said.splitlines()}
    assert "missing.crt cannot be read: No such file or directory" in at[2]
    assert "key_fil: is not a known key (did you mean key_file?)" in said
    assert "use TLS12 or TLS13" in at[4]
    assert "safe cipher suite" in at[5]
    assert "is not a header that can be set here" in at[7]
    assert "is not a bcrypt hash" in at[9]
    assert "write it like 1s" in at[10]
    assert "auth_excluded_paths: is not a known key" in at[11]
    assert said.count(str(folder / "web.yml")) == len(said.splitlines())


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ("cert_file: server.crt", "key: is missing"),
        ("key_file: server.key", "cert: is missing"),
        ("min_version: TLS13", "cert: is missing"),
        (f"{PAIR}, cert: x", "is given beside cert_file"),
        (f"{PAIR}, client_ca_file: ca.crt", "no client is asked"),
        (f"{PAIR}, client_auth_type: RequireAndVerifyClientCert", "needs a client_ca_file"),
        (f"{PAIR}, client_auth_type: VerifyClientCertIfGiven", "needs a client_ca_file"),
        (f"{PAIR}, client_auth_type: RequestClientCert", "Python's ssl cannot"),
        (f"{PAIR}, client_ca_file: ca.crt, client_auth_type: RequireAnyClientCert", "it proves nothing"),
        (f"{PAIR}, client_auth_type: RequireClientCert", "it proves nothing"),
        (f"{PAIR}, client_auth_type: nonsense", "is none of NoClientCert"),
        (f"{PAIR}, client_allowed_sans: [a]", "lets in whoever sends no certificate"),
        (
            f"{PAIR}, client_ca_file: ca.crt, client_auth_type: VerifyClientCertIfGiven, client_allowed_sans: [a]",
            "lets in whoever sends no certificate",
        ),
        (
            f"{PAIR}, client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: []",
            "at least 1 item",
        ),
        (f"{PAIR}, min_version: TLS13, max_version: TLS12", "is above max_version"),
        (f"{PAIR}, cipher_suites: [TLS_AES_128_GCM_SHA256]", "names no suite of TLS 1.2"),
        (f"{PAIR}, curve_preferences: [X25519, CurveP256]", "names more than one"),
        (f"{PAIR}, curve_preferences: [X25519MLKEM768]", "not among what this OpenSSL offers"),
        (f"{PAIR}, prefer_server_cipher_suites: 'true'", "should be a valid boolean"),
        ("cert_file: server.key, key_file: server.key", "cert_file: holds no certificate"),
        ("cert_file: server.crt, key_file: server.crt", "key_file: holds no private key"),
        ("cert_file: server.crt, key_file: .", "cannot be read: Is a directory"),
        (
            f"{PAIR}, client_ca_file: server.key, client_auth_type: RequireAndVerifyClientCert",
            "client_ca_file: holds no certificate",
        ),
    ],
)
def test_tls_that_would_protect_less_than_it_says_is_refused(folder: Path, tls: str, said: str) -> None:
    assert said in problems(folder, f"tls_server_config: {{{tls}}}")


def test_a_pair_that_does_not_belong_together(folder: Path, other: Pair) -> None:
    (folder / "server.key").write_bytes(Path(other.key).read_bytes())
    assert "key_file: does not belong to the certificate" in problems(folder, f"tls_server_config: {{{PAIR}}}")


def test_a_broken_certificate_and_a_locked_key_are_told_apart(folder: Path) -> None:
    whole = (folder / "server.crt").read_text()
    (folder / "server.crt").write_text(whole[:200] + "\n-----END CERTIFICATE-----\n")
    assert "cert_file: cannot be used" in problems(folder, f"tls_server_config: {{{PAIR}}}")
    (folder / "server.crt").write_text(whole)
    (folder / "server.key").write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgQ1gFY\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    assert "key_file: " in problems(folder, f"tls_server_config: {{{PAIR}}}")


@pytest.mark.parametrize(
    "text",
    [
        "rate_limit: {interval: 1s}",
        "rate_limit: {interval: 1s, burst: -1}",
        "http_server_config: {headers: {X-Frame-Options: allow}}",
        'http_server_config: {headers: {Content-Security-Policy: "a\\r\\nSet-Cookie: b"}}',
        f"basic_auth_users: {{'a:b': '{HASH}'}}",
        f"basic_auth_users: {{'': '{HASH}'}}",
        f"basic_auth_users: {{a: '{HASH.replace('$04$', '$31$')}'}}",
        f"basic_auth_users: {{a: '{HASH.replace('$2b$', '$2x$')}'}}",
        "[]",
        "3",
        "basic_auth_users: [a]",
    ],
)
def test_other_nonsense_is_refused_in_one_line(folder: Path, text: str) -> None:
    assert len(problems(folder, text).splitlines()) == 1


SECRETS = ["hunter2hunter2", "!hunter2hunter2", "!hunter2hunter2!x y", "*hunter2hunter2", "&hunter2hunter2 x", HASH]


@pytest.mark.parametrize("secret", [*SECRETS, f"'{HASH}", f'"{HASH}\\q"', f"{{{HASH}", f"{HASH[:-1]}é", f"|\n{HASH}"])
@pytest.mark.parametrize(
    "place",
    [
        "basic_auth_users:\n  anna: {}\n  broken: x\n",
        "basic_auth_users:\n  {}: anna\n",
        "basic_auth_user:\n  anna: {}\n",
        "basic_auth_users: {}\n",
        "tls_server_config:\n  key: {}\n",
        "tls_server_config:\n  cert_file: server.crt\n  key: {}\n",
    ],
)
def test_no_problem_says_a_secret(folder: Path, secret: str, place: str) -> None:
    said = problems(folder, place.replace("{}", secret, 1))
    # A plain word in the place of a name is a name to everybody.
    assert "hunter2" not in said or (place.endswith("{}: anna\n") and secret == "hunter2hunter2")
    for start in range(7, len(HASH) - 4):
        assert HASH[start : start + 4] not in said


def test_base_60_and_the_like_are_not_repeated_where_a_password_was_meant(folder: Path) -> None:
    said = problems(folder, "basic_auth_users: {anna: 0123456, bert: no}")
    assert "0123456" not in said
    assert "anna: is read differently by different YAML readers" in said


def test_secrets_that_everybody_may_read_are_noted(folder: Path) -> None:
    (folder / "server.key").chmod(0o644)
    (note,) = good(folder, f"tls_server_config: {{{PAIR}}}").notes
    assert "server.key holds a secret and can be read by every user" in note
    path = folder / "web.yml"
    path.write_text(f"basic_auth_users: {{anna: '{HASH}'}}")
    path.chmod(0o644)
    loaded = load_settings(path)
    assert loaded.settings is not None
    assert "web.yml holds a secret" in loaded.settings.notes[0]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    loaded = load_settings(tmp_path / "gone.yml")
    assert "cannot be read: No such file or directory" in str(loaded.problems[0])
    assert loaded.files == (tmp_path / "gone.yml",)
