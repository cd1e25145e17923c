"""Owns the format of the web-config file (exporter-toolkit's) as pydantic models. Reads no file and makes no context.

What the format allows and Python's ssl cannot do is refused by name: a weaker stand-in would look like protection.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, StrictBool

from dbwatch.secret import Secret

MAX_BCRYPT_COST: Final = 16
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}\Z")
_GO_DURATION = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h)")
_GO_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_HEADERS: Final = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
# Go's names of curves, and OpenSSL's.
CURVES: Final = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
TLS13_SUITES: Final = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
# What Go offers as safe, by its name there and OpenSSL's.
TLS12_SUITES: Final = {
    f"TLS_ECDHE_{key}_WITH_{go}": f"ECDHE-{key}-{openssl}"
    for key in ("ECDSA", "RSA")
    for go, openssl in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
    )
}


class ClientAuth(StrEnum):
    """What a client's certificate is asked for, of Go's five policies those that OpenSSL under Python can keep."""

    NONE = "NoClientCert"
    VERIFY_IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRE_AND_VERIFY = "RequireAndVerifyClientCert"


_UNVERIFIED: Final = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")


def _client_auth(value: object) -> ClientAuth:
    if value in _UNVERIFIED:
        raise ValueError(
            f"{value} asks for a certificate and does not verify it: it proves nothing, and Python's ssl cannot: "
            f"use {ClientAuth.REQUIRE_AND_VERIFY} with client_ca_file, or {ClientAuth.NONE}"
        )
    if value not in set(ClientAuth):
        raise ValueError(f"is none of {', '.join((*ClientAuth, *_UNVERIFIED[:2]))}")
    return ClientAuth(str(value))


def _tls_version(value: str) -> str:
    if value in ("TLS10", "TLS11"):
        raise ValueError(f"{value} is broken and not offered: use TLS12 or TLS13")
    if value not in ("TLS12", "TLS13"):
        raise ValueError("is neither TLS12 nor TLS13")
    return value


def _cipher_suite(value: str) -> str:
    if value not in TLS12_SUITES and value not in TLS13_SUITES:
        raise ValueError(f"is not the name of a safe cipher suite: one of {', '.join((*TLS13_SUITES, *TLS12_SUITES))}")
    return value


def _curve(value: str) -> str:
    if "MLKEM" in value:
        raise ValueError(f"{value} is not among what this OpenSSL offers: one of {', '.join(CURVES)}")
    if value not in CURVES:
        raise ValueError(f"is none of {', '.join(CURVES)}")
    return value


def _secret(value: object) -> Secret:
    if not isinstance(value, str):
        raise ValueError("is not a text")  # noqa: TRY004 - pydantic collects ValueErrors
    return Secret(value)


def _bcrypt_hash(value: object) -> Secret:
    found = _BCRYPT.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('is not a bcrypt hash: write what `htpasswd -nBC 10 "" | tr -d ":\\n"` prints')
    if not 4 <= int(found[1]) <= MAX_BCRYPT_COST:
        raise ValueError(f"has a bcrypt cost of {int(found[1])}: 10 to 12 is usual, 4 to {MAX_BCRYPT_COST} is taken")
    return Secret(found[0])


def _header_name(value: str) -> str:
    if value not in _HEADERS:
        raise ValueError(f"is not a header that can be set here: one of {', '.join(_HEADERS)}")
    return value


def _go_duration(value: object) -> float:
    if value == 0:
        return 0.0
    parts = _GO_DURATION.findall(value) if isinstance(value, str) else []
    if not parts or "".join(parts) != value:
        raise ValueError("is not a duration: write it like 1s, 500ms or 1m30s, or 0 for no limit")
    seconds = 0.0
    for part in parts:
        number = part.rstrip("nuµmsh")
        seconds += float(number) * _GO_UNITS[part[len(number) :]]
    return seconds


Path_: TypeAlias = Annotated[Path, BeforeValidator(lambda value: _file_name(value))]


def _file_name(value: object) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("is not the name of a file")
    return Path(value)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsFile(_Section):
    """`tls_server_config`."""

    cert: Annotated[str, Field(min_length=1)] | None = None
    key: Annotated[Secret, PlainValidator(_secret, json_schema_input_type=str)] | None = None
    client_ca: Annotated[str, Field(min_length=1)] | None = None
    cert_file: Path_ | None = None
    key_file: Path_ | None = None
    client_ca_file: Path_ | None = None
    client_auth_type: Annotated[ClientAuth, BeforeValidator(_client_auth)] = ClientAuth.NONE
    client_allowed_sans: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    min_version: Annotated[str, AfterValidator(_tls_version)] = "TLS12"
    max_version: Annotated[str, AfterValidator(_tls_version)] = "TLS13"
    cipher_suites: list[Annotated[str, AfterValidator(_cipher_suite)]] = Field(default_factory=list)
    prefer_server_cipher_suites: StrictBool = True
    curve_preferences: list[Annotated[str, AfterValidator(_curve)]] = Field(default_factory=list)


class HttpFile(_Section):
    """`http_server_config`. `http2` is taken and means nothing: we speak HTTP/1.1."""

    http2: StrictBool = False
    headers: dict[Annotated[str, AfterValidator(_header_name)], str] = Field(default_factory=dict)


class RateFile(_Section):
    """`rate_limit`: a bucket of `burst` requests that gains one every `interval`."""

    interval: Annotated[float, BeforeValidator(_go_duration), Field(le=3600)] = 0.0
    burst: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class WebFile(_Section):
    """The whole file. What is left out asks for nothing."""

    tls_server_config: TlsFile = TlsFile()
    http_server_config: HttpFile = HttpFile()
    basic_auth_users: dict[str, Annotated[Secret, PlainValidator(_bcrypt_hash, json_schema_input_type=str)]] = Field(
        default_factory=dict
    )
    rate_limit: RateFile = RateFile()


def header_problem(name: str, value: str) -> str | None:
    """What is wrong with the value of a header that may be set."""
    allowed = _HEADERS.get(name, ())
    if value and allowed and value not in allowed:
        return f"is not {' or '.join(allowed)}"
    if not value.isascii() or not (value.isprintable()):
        return "holds a character that a header cannot"
    return None
