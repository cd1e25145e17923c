"""Self-signed certificates that end when a test wants them to. Made by openssl; nothing is checked with them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.harness.binaries import program


def self_signed(folder: Path, name: str, *, days: int) -> tuple[Path, Path]:
    """`name.crt` and `name.key` in the folder. With negative days the certificate has ended."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    request = folder / f"{name}.csr"
    _openssl("req", *curve, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    _openssl("x509", "-req", "-in", request, "-signkey", key, "-out", certificate, "-days", str(days))
    return certificate, key


def _openssl(*arguments: str | Path) -> None:
    argv = [str(word) for word in (program("openssl"), *arguments)]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
