"""The image as a sidecar of a database container: built, hardened, scraped, healthy, stopped. Needs a container engine.

The sidecar runs from the built image less its shells, which proves that nothing of ours needs one. A machine
without an engine is no fault of it: DBWATCH_REQUIRE=all does not ask for one, only DBWATCH_REQUIRE=container does.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import docker
import httpx
import pytest
from docker.errors import DockerException
from docker.models.containers import Container
from docker.models.images import Image

from tests.harness.binaries import postgres_bin
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

CHECKOUT = Path(__file__).resolve().parents[2]
TAG = "dbwatch:acceptance"
BASES = re.compile(r"dbwatch-base:bookworm|python:3\.(1[1-9])(?!.*alpine).*")
UID = 65532
PORT = 10187
PASSWORD = "s3cret of the sidecar"  # pragma: allowlist secret
PYTHON = "/opt/dbwatch/bin/python"

WITHOUT_SHELL = f"""
FROM {TAG}
USER 0:0
RUN ["rm", "-f", "/usr/bin/bash", "/usr/bin/dash", "/usr/bin/sh", "/bin/bash", "/bin/dash", "/bin/sh", "/bin/rbash"]
USER {UID}:{UID}
"""

START_DATABASE = """
umask 077
printf '%s' "$PASSWORD" > /data/password
/server/bin/initdb -D /data/pg -U postgres --auth=scram-sha-256 --pwfile=/data/password -N >/dev/null
exec /server/bin/postgres -D /data/pg -c listen_addresses=127.0.0.1 -c unix_socket_directories=/data -c fsync=off
"""

WHO_AM_I = """
import os
status = dict(line.split(":\\t", 1) for line in open("/proc/1/status").read().splitlines() if ":\\t" in line)
program = open("/proc/1/cmdline").read().split("\\0")[0]
print(status["Uid"].split()[0], status["Gid"].split()[0], int(status["CapEff"], 16), status["NoNewPrivs"], program)
print(*[name for name in ("/", "/opt/dbwatch", "/tmp", "/var/tmp") if os.access(name, os.W_OK)])
"""


@dataclass(frozen=True, slots=True)
class Pod:
    """A database and its sidecar with one network between them, as in a Kubernetes pod."""

    database: Container
    sidecar: Container
    url: str

    def log(self) -> str:
        return str(self.sidecar.logs().decode(errors="replace"))

    def health(self) -> str:
        self.sidecar.reload()
        return str(self.sidecar.attrs["State"]["Health"]["Status"])


def absent(reason: str) -> NoReturn:
    """Skip, or fail where an engine was asked for by name."""
    if "container" in os.environ.get("DBWATCH_REQUIRE", "").split(","):
        pytest.fail(f"required by DBWATCH_REQUIRE, and missing: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    """The engine that DOCKER_HOST or the usual socket leads to."""
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except DockerException as error:
        absent(f"no container engine answers: {error}")
    yield client
    client.close()


@pytest.fixture(scope="module")
def base(engine: docker.DockerClient) -> str:
    """A base image with Python 3.11 or newer that is here already, or the one the environment names."""
    if named := os.environ.get("DBWATCH_TEST_BASE_IMAGE"):
        return named
    local = sorted(tag for image in engine.images.list() for tag in image.tags if BASES.fullmatch(tag))
    if not local:
        absent("no local base image python:3.11 or newer; DBWATCH_TEST_BASE_IMAGE may name one")
    return str(local[-1])


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient, base: str) -> Image:
    built, _ = engine.images.build(path=str(CHECKOUT), tag=TAG, buildargs={"BASE": base}, rm=True, forcerm=True)
    return built


@pytest.fixture(scope="module")
def shellless(engine: docker.DockerClient, image: Image) -> Iterator[str]:
    assert image.tags
    built, _ = engine.images.build(fileobj=io.BytesIO(WITHOUT_SHELL.encode()), tag=f"{TAG}-shellless", rm=True)
    yield built.tags[0]
    engine.images.remove(built.tags[0], force=True)


@pytest.fixture(scope="module")
def pod(
    engine: docker.DockerClient, base: str, shellless: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pod]:
    """A PostgreSQL of the harness in a container of the base image, and beside it the hardened sidecar."""
    secrets = tmp_path_factory.mktemp("secrets")
    url_file = secrets / "url"
    url_file.write_text(f"postgresql://postgres:{PASSWORD.replace(' ', '%20')}@127.0.0.1:5432/postgres\n")
    for path in (url_file, *secrets.parents, secrets):
        if path.is_relative_to(tmp_path_factory.getbasetemp()):
            path.chmod(0o755)  # the sidecar's user is nobody here
    with ExitStack() as running:
        database = engine.containers.run(
            base,
            ["/bin/sh", "-ec", START_DATABASE],
            detach=True,
            user="65534:65534",
            environment={"PASSWORD": PASSWORD, "LC_ALL": "C", "HOME": "/data"},
            volumes={str(postgres_bin(18).parent): {"bind": "/server", "mode": "ro"}},
            tmpfs={"/data": "uid=65534,gid=65534,mode=0700"},
            ports={f"{PORT}/tcp": ("127.0.0.1", None)},
        )
        running.callback(database.remove, force=True, v=True)
        sidecar = engine.containers.run(
            shellless,
            detach=True,
            network_mode=f"container:{database.id}",
            environment={"DATABASE_URL_FILE": "/run/secrets/url"},
            volumes={str(url_file): {"bind": "/run/secrets/url", "mode": "ro"}},
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit="256m",
            pids_limit=64,
        )
        running.callback(sidecar.remove, force=True, v=True)
        database.reload()
        (published,) = database.ports[f"{PORT}/tcp"]
        yield Pod(database, sidecar, f"http://127.0.0.1:{published['HostPort']}")


def get(pod: Pod, path: str) -> httpx.Response:
    with httpx.Client(base_url=pod.url, trust_env=False, timeout=5) as client:
        return client.get(path)


# -- the image -------------------------------------------------------------------------------------


def test_the_image_runs_one_program_as_nobody_without_a_shell(image: Image) -> None:
    config = image.attrs["Config"]
    assert config["User"] == f"{UID}:{UID}"
    assert config["Entrypoint"] == ["/opt/dbwatch/bin/dbwatch"]
    assert config["Cmd"] == ["serve"]
    assert config["Healthcheck"]["Test"][:2] == ["CMD", PYTHON]
    assert list(config["ExposedPorts"]) == [f"{PORT}/tcp"]


def test_the_image_adds_little_to_its_base(engine: docker.DockerClient, base: str, image: Image) -> None:
    added_bytes = image.attrs["Size"] - engine.images.get(base).attrs["Size"]
    print(f"{image.attrs['Size'] / 1e6:.0f} MB, of which {added_bytes / 1e6:.0f} MB are ours")
    assert added_bytes < 100_000_000


def test_the_image_takes_any_sub_command(engine: docker.DockerClient, image: Image) -> None:
    said = engine.containers.run(image.id, ["validate"], remove=True, network_mode="none", read_only=True)
    assert "bundled checks are fine" in said.decode()


# -- the sidecar -----------------------------------------------------------------------------------


def test_it_measures_the_database_beside_it(pod: Pod) -> None:
    def page() -> str:
        assert get(pod, "/readyz").is_success
        text = get(pod, "/metrics").text
        assert re.search(r'^dbwatch_target_up\{[^}]*target="postgres"[^}]*\} 1(\.0)?$', text, re.MULTILINE)
        return text

    text = eventually(page, timeout=60, every=0.3, ignoring=(AssertionError, httpx.TransportError), what=pod.log())
    assert "dbwatch_pg_" in text
    document = get(pod, "/api/v1/status").json()
    (target,) = document["targets"]
    assert target["server"]["version"].startswith("18")
    assert [check for check in target["checks"] if check["reason"] == "error"] == []


def test_it_has_no_privilege_and_writes_nothing(pod: Pod) -> None:
    code, output = pod.sidecar.exec_run([PYTHON, "-c", WHO_AM_I])
    assert code == 0, output
    facts, writable = output.decode().split("\n")[:2]
    assert facts == f"{UID} {UID} 0 1 {PYTHON}"
    assert writable == ""
    assert pod.sidecar.diff() in (None, [])


def test_nothing_could_have_been_run_by_a_shell(pod: Pod) -> None:
    for shell in ("sh", "bash", "dash"):
        code, _ = pod.sidecar.exec_run([PYTHON, "-c", f"import shutil, sys; sys.exit(shutil.which({shell!r}) is None)"])
        assert code == 1, f"{shell} is there"


def test_it_tells_the_password_to_nobody(pod: Pod) -> None:
    said = pod.log() + "".join(get(pod, path).text for path in ("/", "/metrics", "/api/v1/status", "/sd"))
    assert PASSWORD not in said
    assert PASSWORD.replace(" ", "%20") not in said


def test_it_becomes_healthy(pod: Pod) -> None:
    eventually(lambda: pod.health() == "healthy", timeout=90, every=0.5, what="the container's health")


def test_it_ends_in_time_as_the_first_process(pod: Pod) -> None:
    """Last, since nothing of the sidecar is left: the kernel gives process 1 no default handler of SIGTERM."""
    begun = time.monotonic()
    pod.sidecar.kill("SIGTERM")
    ended = pod.sidecar.wait(timeout=30)
    assert ended["StatusCode"] == 0, pod.log()
    assert time.monotonic() - begun < 5
