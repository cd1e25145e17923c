"""Owns making an ssl context out of certificates and rules, and what a client's certificate must say. Reads no file.

Keys reach OpenSSL through memory: Python's ssl takes them from files alone, and a key given inline must not be written
to one.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dbwatch.secret import Secret
from dbwatch.web.configfile import CURVES, TLS12_SUITES, ClientAuth

_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.VERIFY_IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRE_AND_VERIFY: ssl.CERT_REQUIRED,
}


class TlsError(ValueError):
    """`part` is what is wrong: cert, key, client_ca or the name of a rule."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True, slots=True)
class Pems:
    """The texts that TLS is made of."""

    cert: bytes
    key: Secret
    client_ca: bytes | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of a handshake."""

    client_auth: ClientAuth = ClientAuth.NONE
    allowed_sans: frozenset[str] | None = None
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server: bool = True
    curve: str | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """A context for new connections. `allowed_sans` holds whom it takes of those whose certificate it verified."""

    context: ssl.SSLContext
    allowed_sans: frozenset[str] | None = None

    def admits(self, certificate: Mapping[str, object] | None) -> bool:
        """Whether the peer's verified certificate, as `SSLObject.getpeercert` gives it, is on the list."""
        if self.allowed_sans is None:
            return True
        names = (certificate or {}).get("subjectAltName", ())
        assert isinstance(names, tuple)
        return any(_canonical(value) in self.allowed_sans for _, value in names)


def sans_of(names: Sequence[str]) -> frozenset[str]:
    return frozenset(map(_canonical, names))


def _canonical(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name


def make_tls(pems: Pems, rules: Rules) -> Tls:
    """A context that serves the pair. Raises TlsError; never says a word of a key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[rules.min_version]
    context.maximum_version = _VERSIONS[rules.max_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if rules.prefer_server:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    _set_algorithms(context, rules)
    _load_pair(context, pems)
    if rules.client_auth is not ClientAuth.NONE:
        _verify_clients(context, pems, rules)
    return Tls(context, rules.allowed_sans)


def _set_algorithms(context: ssl.SSLContext, rules: Rules) -> None:
    older = [TLS12_SUITES[name] for name in rules.cipher_suites if name in TLS12_SUITES]
    try:
        if older:
            context.set_ciphers(":".join(older))
    except ssl.SSLError:
        raise TlsError("cipher_suites", "names no cipher suite that this OpenSSL has") from None
    try:
        if rules.curve is not None:
            context.set_ecdh_curve(CURVES[rules.curve])
    except (ssl.SSLError, ValueError):
        raise TlsError("curve_preferences", f"{rules.curve} is not offered by this OpenSSL") from None


def _load_pair(context: ssl.SSLContext, pems: Pems) -> None:
    key = pems.key.reveal().encode()
    if b"-----BEGIN CERTIFICATE-----" not in pems.cert:
        raise TlsError("cert", "holds no certificate in PEM format")
    if b"PRIVATE KEY-----" not in key:
        raise TlsError("key", "holds no private key in PEM format")
    with _as_file(pems.cert) as cert_path, _as_file(key) as key_path:
        try:
            context.load_cert_chain(cert_path, key_path, password=_no_passphrase)
        except _EncryptedError:
            raise TlsError("key", "is encrypted: nobody is there to type a passphrase, store it without one") from None
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise TlsError("key", "does not belong to the certificate") from None
            raise TlsError(_culprit(pems.cert), f"cannot be used: {_in_words(error)}") from None


def _culprit(cert: bytes) -> str:
    """Which of the pair OpenSSL did not take: the certificate, if it cannot be read by itself."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=cert.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError):
        return "cert"
    return "key"


def _verify_clients(context: ssl.SSLContext, pems: Pems, rules: Rules) -> None:
    assert pems.client_ca is not None
    # A resumed session would not look at the certificate again.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    # Whom the file names is trusted, also an intermediate authority without its root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=pems.client_ca.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError):
        raise TlsError("client_ca", "holds no certificate in PEM format, or a broken one") from None
    if not context.cert_store_stats()["x509"]:
        raise TlsError("client_ca", "holds no certificate in PEM format")
    context.verify_mode = _VERIFY[rules.client_auth]


def _in_words(error: ssl.SSLError) -> str:
    return (error.reason or "not what OpenSSL can read").replace("_", " ").lower()


class _EncryptedError(Exception):
    pass


def _no_passphrase() -> str:
    raise _EncryptedError


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A path that OpenSSL can read `data` from; never a file on a disk where the system has files in memory."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("dbwatch", os.MFD_CLOEXEC)
        try:
            with open(descriptor, "wb", closefd=False) as stream:
                stream.write(data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield file.name
