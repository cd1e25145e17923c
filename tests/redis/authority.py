"""A certificate authority made for the tests, with a certificate for the name `localhost`."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.harness.binaries import program


@dataclass(frozen=True)
class Authority:
    """A folder with ca.crt, and server.crt/server.key for the name `localhost` alone."""

    folder: Path

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.crt")

    @property
    def config(self) -> dict[str, str]:
        return {
            "tls-cert-file": str(self.folder / "server.crt"),
            "tls-key-file": str(self.folder / "server.key"),
            "tls-ca-cert-file": self.ca,
        }


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run([program("openssl"), *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def make_authority(folder: Path) -> Authority:
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    usage = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl(
        folder,
        "req",
        "-x509",
        *new_key,
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "2",
        "-subj",
        "/CN=dbwatch tests",
        *usage,
    )
    openssl(folder, "req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "san").write_text("subjectAltName=DNS:localhost\n")
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san")
    openssl(folder, "x509", "-req", "-in", "server.csr", "-out", "server.crt", *signing)
    shutil.copy(folder / "server.key", folder / "client.key")
    return Authority(folder)
