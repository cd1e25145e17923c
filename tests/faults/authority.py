"""A certificate authority made by openssl for one test: servers', clients' and strangers' certificates."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.harness.binaries import program

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
_LEAF = ("-addext", "basicConstraints=CA:FALSE")


class Pair(NamedTuple):
    """A certificate and its key as files."""

    cert: str
    key: str

    def copy_to(self, other: Pair) -> None:
        """Replace the other's files, as who rotates certificates does."""
        for source, target in zip(self, other, strict=True):
            new = Path(f"{target}.new")
            new.write_bytes(Path(source).read_bytes())
            new.replace(target)


class Authority:
    """`ca.crt` in a folder, and what it signs."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.ca = str(folder / f"{name}.crt")
        self._key = str(folder / f"{name}.key")
        usage = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        self._openssl("-keyout", self._key, "-out", self.ca, "-subj", f"/CN={name}", *usage)

    def issue(self, name: str, sans: str = "DNS:localhost,IP:127.0.0.1", *usage: str) -> Pair:
        """A certificate for `name` with these subject alternative names."""
        pair = Pair(str(self.folder / f"{name}.crt"), str(self.folder / f"{name}.key"))
        signing = ("-CA", self.ca, "-CAkey", self._key, *_LEAF, "-addext", f"subjectAltName={sans}", *usage)
        self._openssl("-keyout", pair.key, "-out", pair.cert, "-subj", f"/CN={name}", *signing)
        return pair

    def _openssl(self, *arguments: str) -> None:
        command = [str(program("openssl")), "req", "-x509", *_NEW_KEY, *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
