"""Owns fetching packages of the npm registry, without npm. Knows no package and no server."""

from __future__ import annotations

import base64
import hashlib
import os
import urllib.request
from dataclasses import dataclass

REGISTRY = "https://registry.npmjs.org"


@dataclass(frozen=True, slots=True)
class Package:
    """One version of a package, and the SHA-512 (base64) that the registry says it has."""

    name: str
    version: str
    sha512: str


def fetch(package: Package) -> bytes:
    """The package as the registry has it, or the mirror that NPM_CONFIG_REGISTRY names. ValueError for another file."""
    registry = os.environ.get("NPM_CONFIG_REGISTRY", REGISTRY)
    file = f"{package.name.rpartition('/')[2]}-{package.version}.tgz"
    url = f"{registry.rstrip('/')}/{package.name}/-/{file}"
    with urllib.request.urlopen(url, timeout=120) as answer:
        content: bytes = answer.read()
    found = base64.b64encode(hashlib.sha512(content).digest()).decode("ascii")
    if found != package.sha512:
        raise ValueError(f"{url} is not the file we know: its SHA-512 is {found}")
    return content
