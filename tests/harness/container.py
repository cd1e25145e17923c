"""The container engine of this machine, a base image that is here already, and our image built from the checkout."""

from __future__ import annotations

import gc
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from docker.errors import DockerException  # type: ignore[import-untyped]  # docker-py has no types
from testcontainers.core.config import testcontainers_config
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.image import DockerImage

TAG = "dbwatch:acceptance"
BUILD_SECONDS = 600
_CHECKOUT = Path(__file__).resolve().parents[2]
_BASES = re.compile(r"dbwatch-base:bookworm|python:3\.(1[1-9])(?!.*alpine).*")


class AbsentError(Exception):
    """There is no engine, or no base image."""


@contextmanager
def engine() -> Iterator[DockerClient]:
    """The engine that DOCKER_HOST or the usual socket leads to. Raises AbsentError."""
    testcontainers_config.ryuk_disabled = True  # its image would have to be pulled; every container here is in a block
    with warnings.catch_warnings():
        # docker-py leaves the socket of a failed connection to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        found = _connected()
        gc.collect()
    if isinstance(found, str):
        raise AbsentError(f"no container engine answers: {found}")
    yield found
    found.client.close()


def _connected() -> DockerClient | str:
    """A client of the engine, or why there is none."""
    try:
        client = DockerClient(timeout=BUILD_SECONDS)
        client.client.ping()
    except DockerException as error:
        return str(error)
    return client


def base_image(client: DockerClient) -> str:
    """A base image with Python 3.11 or newer that is here already, or the one the environment names."""
    if named := os.environ.get("DBWATCH_TEST_BASE_IMAGE"):
        return named
    local = sorted(tag for image in client.client.images.list() for tag in image.tags if _BASES.fullmatch(tag))
    if not local:
        raise AbsentError("no local base image python:3.11 or newer; DBWATCH_TEST_BASE_IMAGE may name one")
    return str(local[-1])


@contextmanager
def our_image(base: str) -> Iterator[DockerImage]:
    """Built from the checkout as it is; kept, since its layers make the next build quick."""
    options = {"timeout": BUILD_SECONDS}
    with DockerImage(_CHECKOUT, options, tag=TAG, clean_up=False, buildargs={"BASE": base}, rm=True) as built:
        yield built


def size_bytes(client: DockerClient, image: str) -> int:
    """Unpacked, with all of its layers."""
    size: int = client.client.images.get(image).attrs["Size"]
    return size
