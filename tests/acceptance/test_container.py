"""The image as a sidecar of a database container: built, hardened, scraped, healthy, stopped. Needs a container engine.

The sidecar runs from the built image less its shells, which proves that nothing of ours needs one. A machine
without an engine is no fault of it: DBWATCH_REQUIRE=all does not ask for one, only DBWATCH_REQUIRE=container does.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NoReturn
from urllib.parse import quote

import httpx
import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.image import DockerImage

from tests.harness import container
from tests.harness.binaries import postgres_bin
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

UID = 65532
PORT = 10187
# 51 MB when it was written; wheels for another Python differ a little.
MOST_ADDED_BYTES = 58_000_000
PASSWORD = "s3cret of the sidecar"
PYTHON = "/opt/dbwatch/bin/python"

WITHOUT_SHELL = f"""
FROM {container.TAG}
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

EVERY_MODULE = """
import importlib, importlib.util, pkgutil, dbwatch
found = [module.name for module in pkgutil.walk_packages(dbwatch.__path__, "dbwatch.") if "__main__" not in module.name]
for name in found:
    importlib.import_module(name)
print(*[importlib.util.find_spec(name) is None for name in ("pygments", "markdown_it", "pip")], sep=",")
print(len(found))
"""
NOBODY = "postgresql://nobody@127.0.0.1:1/nothing"


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
    try:
        with container.engine() as found:
            yield found
    except container.AbsentError as missing:
        absent(str(missing))


@pytest.fixture(scope="module")
def base(engine: DockerClient) -> str:
    try:
        return container.base_image(engine)
    except container.AbsentError as missing:
        absent(str(missing))


@pytest.fixture(scope="module")
def image(base: str) -> Iterator[DockerImage]:
    with container.our_image(base) as built:
        yield built


@pytest.fixture(scope="module")
def shellless(image: DockerImage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    context = tmp_path_factory.mktemp("shellless")
    (context / "Dockerfile").write_text(WITHOUT_SHELL)
    with DockerImage(context, {"timeout": container.BUILD_SECONDS}, tag=f"{image}-shellless", rm=True) as built:
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
    whole_bytes = container.size_bytes(engine, str(image))
    added_bytes = whole_bytes - container.size_bytes(engine, base)
    print(f"{whole_bytes / 1e6:.0f} MB, of which {added_bytes / 1e6:.0f} MB are ours")
    assert added_bytes < MOST_ADDED_BYTES


def test_the_image_takes_any_sub_command(engine: DockerClient, shellless: str) -> None:
    said = engine.client.containers.run(shellless, ["validate"], remove=True, network_mode="none", read_only=True)
    assert "bundled checks are fine" in said.decode()


def test_nothing_of_ours_needs_what_the_image_leaves_out(engine: DockerClient, shellless: str) -> None:
    """Every module, and a report in colour: rich and structlog do without what shows source code and Markdown."""
    run = partial(engine.client.containers.run, shellless, remove=True, network_mode="none", read_only=True)
    said = run(["-c", EVERY_MODULE], entrypoint=PYTHON)
    left_out, modules = said.decode().split()
    assert left_out == "True,True,True"
    assert int(modules) > 200
    report = engine.client.containers.create(
        shellless, ["check", NOBODY], network_mode="none", read_only=True, tty=True
    )
    report.start()
    assert report.wait(timeout=60)["StatusCode"] == 3
    assert "\x1b[" in report.logs().decode()
    report.remove()


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
