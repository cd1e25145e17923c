"""Owns what a target says about TLS, as redis-py's connection options. Opens nothing but the files named."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from dbwatch.config import Target
from dbwatch.errors import TargetError
from dbwatch.model import Reason

_UNVERIFIED = frozenset({"allow", "prefer", "require"})


@dataclass(frozen=True, slots=True)
class Tls:
    """How to check the server and how to show who we are. The default checks chain and name."""

    verify: bool = True
    verify_name: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def driver_options(self) -> dict[str, object]:
        return {
            "ssl_cert_reqs": "required" if self.verify else "none",
            "ssl_check_hostname": self.verify_name,
            "ssl_ca_certs": self.ca_file,
            "ssl_certfile": self.cert_file,
            "ssl_keyfile": self.key_file,
        }


def tls_of(target: Target) -> Tls | None:
    """None when the target is reached in the clear. Raises TargetError(tls) for a file that cannot be used.

    The words are libpq's (sslmode, sslrootcert…); redis-py's own, as found in many a REDIS_URL, are
    understood too.
    """
    options = target.options
    mode = options.get("sslmode", "")
    if not target.tls and mode in ("", "disable"):
        return None
    unverified = mode in _UNVERIFIED or options.get("ssl_cert_reqs", "").lower() == "none"
    no_name = mode == "verify-ca" or options.get("ssl_check_hostname", "").lower() in ("false", "0", "no")
    tls = Tls(
        verify=not unverified,
        verify_name=not (unverified or no_name),
        ca_file=options.get("sslrootcert") or options.get("ssl_ca_certs"),
        cert_file=options.get("sslcert") or options.get("ssl_certfile"),
        key_file=options.get("sslkey") or options.get("ssl_keyfile"),
    )
    _try_files(tls)
    return tls


def _try_files(tls: Tls) -> None:
    """Said here, a missing file has a name; said by the driver, it is `Error 2`."""
    for name in (tls.ca_file, tls.cert_file, tls.key_file):
        if name is None:
            continue
        try:
            Path(name).open("rb").close()
        except OSError as error:
            raise TargetError(Reason.TLS, "tls", f"the file {name} cannot be read: {error.strerror}") from None
    context = ssl.create_default_context()
    try:
        if tls.ca_file is not None:
            context.load_verify_locations(tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (ssl.SSLError, OSError) as error:
        detail = error.reason if isinstance(error, ssl.SSLError) and error.reason else "it is not in PEM form"
        named = tls.cert_file or tls.ca_file
        raise TargetError(Reason.TLS, "tls", f"the certificate or key {named} cannot be used: {detail}") from None
