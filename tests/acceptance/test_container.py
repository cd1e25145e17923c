"""The image as a sidecar of a database container: built, hardened, scraped, healthy, stopped. Needs a container engine.

The sidecar runs from the built image less its shells, which proves that nothing of ours needs one. A machine
without an engine is no fault of it: DBWATCH_REQUIRE=all does not ask for one, only DBWATCH_REQUIRE=container does.
"""

from __future__ import annotations

import gc
import os
import re
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import httpx
import pytest
from docker.errors import DockerException  # type: ignore[import-untyped]  # docker-py has no types
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.image import DockerImage

from tests.harness.binaries import postgres_bin
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

CHECKOUT = Path(__file__).resolve().parents[2]
TAG = "dbwatch:acceptance"
BASES = re.compile(r"dbwatch-base:bookworm|python:3\.(1[1-9])(?!.*alpine).*")
UID = 65532
PORT = 10187
BUILD_SECONDS = 600
PASSWORD = "s3cret of the sidecar"
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

    database: DockerContainer
    sidecar: DockerContainer
    url: str

    def log(self) -> str:
        return b"".join(self.sidecar.get_logs()).decode(errors="replace")

    def health(self) -> str:
        container = self.sidecar.get_wrapped_container()
        container.reload()
        return str(container.attrs["State"]["Health"]["Status"])

    def python(self, code: str) -> str:
        """What `code` prints inside of the sidecar."""
        done = self.sidecar.exec([PYTHON, "-c", code])
        assert done.exit_code == 0, done.output
        return done.output.decode()

    def get(self, path: str) -> httpx.Response:
        with httpx.Client(base_url=self.url, trust_env=False, timeout=5) as client:
            return client.get(path)


def absent(reason: str) -> NoReturn:
    """Skip, or fail where an engine was asked for by name."""
    if "container" in os.environ.get("DBWATCH_REQUIRE", "").split(","):
        pytest.fail(f"required by DBWATCH_REQUIRE, and missing: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerClient]:
    """The engine that DOCKER_HOST or the usual socket leads to."""
    testcontainers_config.ryuk_disabled = True  # its image would have to be pulled; every container here is in a block
    with warnings.catch_warnings():
        # docker-py leaves the socket of a failed connection to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        found = connected()
        gc.collect()
    if isinstance(found, str):
        absent(f"no container engine answers: {found}")
    yield found
    found.client.close()


def connected() -> DockerClient | str:
    """A client of the engine, or why there is none."""
    try:
        engine = DockerClient(timeout=BUILD_SECONDS)
        engine.client.ping()
    except DockerException as error:
        return str(error)
    return engine


@pytest.fixture(scope="module")
def base(engine: DockerClient) -> str:
    """A base image with Python 3.11 or newer that is here already, or the one the environment names."""
    if named := os.environ.get("DBWATCH_TEST_BASE_IMAGE"):
        return named
    local = sorted(tag for image in engine.client.images.list() for tag in image.tags if BASES.fullmatch(tag))
    if not local:
        absent("no local base image python:3.11 or newer; DBWATCH_TEST_BASE_IMAGE may name one")
    return str(local[-1])


@pytest.fixture(scope="module")
def image(base: str) -> Iterator[DockerImage]:
    """Built from the checkout as it is; kept, since its layers make the next build quick."""
    options = {"timeout": BUILD_SECONDS}
    with DockerImage(CHECKOUT, options, tag=TAG, clean_up=False, buildargs={"BASE": base}, rm=True) as built:
        yield built


@pytest.fixture(scope="module")
def shellless(image: DockerImage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    context = tmp_path_factory.mktemp("shellless")
    (context / "Dockerfile").write_text(WITHOUT_SHELL)
    with DockerImage(context, {"timeout": BUILD_SECONDS}, tag=f"{image}-shellless", rm=True) as built:
        yield str(built)


@pytest.fixture(scope="module")
def pod(base: str, shellless: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """A PostgreSQL of the harness in a container of the base image, and beside it the hardened sidecar."""
    url_file = tmp_path_factory.mktemp("secrets") / "url"
    url_file.write_text(f"postgresql://postgres:{quote(PASSWORD)}@127.0.0.1:5432/postgres\n")
    url_file.chmod(0o444)  # the sidecar's user is nobody here
    database = DockerContainer(base)
    database.with_command(["/bin/sh", "-ec", START_DATABASE])
    database.with_envs(PASSWORD=PASSWORD, LC_ALL="C", HOME="/data")
    database.with_volume_mapping(postgres_bin(18).parent, "/server")
    database.with_kwargs(user="65534:65534")
    database.tmpfs["/data"] = "uid=65534,gid=65534,mode=0700"
    database.with_exposed_ports(PORT)
    with database:
        sidecar = DockerContainer(shellless).with_env("DATABASE_URL_FILE", "/run/secrets/url")
        sidecar.with_volume_mapping(url_file, "/run/secrets/url")
        sidecar.with_kwargs(
            network_mode=f"container:{database.get_container_id()}",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit="256m",
            pids_limit=64,
        )
        address = f"http://{database.get_container_host_ip()}:{database.get_exposed_port(PORT)}"
        with sidecar:
            yield Pod(database, sidecar, address)


# -- the image -------------------------------------------------------------------------------------


def test_the_image_runs_one_program_as_nobody_without_a_shell(image: DockerImage) -> None:
    config = image.get_wrapped_image().attrs["Config"]
    assert config["User"] == f"{UID}:{UID}"
    assert config["Entrypoint"] == ["/opt/dbwatch/bin/dbwatch"]
    assert config["Cmd"] == ["serve"]
    assert config["Healthcheck"]["Test"][:2] == ["CMD", PYTHON]
    assert list(config["ExposedPorts"]) == [f"{PORT}/tcp"]


def test_the_image_adds_little_to_its_base(engine: DockerClient, base: str, image: DockerImage) -> None:
    whole_bytes = image.get_wrapped_image().attrs["Size"]
    added_bytes = whole_bytes - engine.client.images.get(base).attrs["Size"]
    print(f"{whole_bytes / 1e6:.0f} MB, of which {added_bytes / 1e6:.0f} MB are ours")
    assert added_bytes < 100_000_000


def test_the_image_takes_any_sub_command(engine: DockerClient, shellless: str) -> None:
    said = engine.client.containers.run(shellless, ["validate"], remove=True, network_mode="none", read_only=True)
    assert "bundled checks are fine" in said.decode()


# -- the sidecar -----------------------------------------------------------------------------------


def test_it_measures_the_database_beside_it(pod: Pod) -> None:
    def page() -> str:
        assert pod.get("/readyz").is_success
        text = pod.get("/metrics").text
        assert re.search(r'^dbwatch_target_up\{[^}]*target="postgres"[^}]*\} 1(\.0)?$', text, re.MULTILINE)
        return text

    waiting = (AssertionError, httpx.TransportError)
    text = eventually(page, timeout=60, every=0.3, ignoring=waiting, what="the database on /metrics")
    assert "dbwatch_pg_" in text
    (target,) = pod.get("/api/v1/status").json()["targets"]
    assert target["server"]["version"].startswith("18")
    assert [check for check in target["checks"] if check["reason"] == "error"] == []


def test_it_has_no_privilege_and_may_write_nowhere(pod: Pod) -> None:
    facts, writable = pod.python(WHO_AM_I).split("\n")[:2]
    assert facts == f"{UID} {UID} 0 1 {PYTHON}"
    assert writable == ""


def test_no_shell_is_there_that_could_have_helped(pod: Pod) -> None:
    found = pod.python("import shutil; print([shutil.which(name) for name in ('sh', 'bash', 'dash', 'busybox')])")
    assert found == "[None, None, None, None]\n"


def test_it_tells_the_password_to_nobody(pod: Pod) -> None:
    said = pod.log() + "".join(pod.get(path).text for path in ("/", "/metrics", "/api/v1/status", "/sd"))
    assert PASSWORD not in said
    assert quote(PASSWORD) not in said


def test_it_becomes_healthy(pod: Pod) -> None:
    eventually(lambda: pod.health() == "healthy", timeout=90, every=0.5, what="the container's health")


def test_it_ends_in_time_as_the_first_process(pod: Pod) -> None:
    """The last test, since it ends the sidecar. The kernel gives process 1 no default handler of SIGTERM."""
    container = pod.sidecar.get_wrapped_container()
    begun = time.monotonic()
    container.kill("SIGTERM")
    ended = container.wait(timeout=30)
    assert ended["StatusCode"] == 0, pod.log()
    assert time.monotonic() - begun < 5
