"""Row 57: the built wheel in an empty environment with the locked dependencies, used away from the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import httpx
import pytest

from dbwatch import __version__
from tests.conftest import FreshPostgres, FreshRedis
from tests.harness import ports
from tests.harness.binaries import MissingError
from tests.harness.cluster import SAFE
from tests.harness.daemon import NOT_INHERITED
from tests.harness.process import ServerProcess
from tests.harness.redis import RedisServer

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDERS = ("dbwatch", "checks", "alerts", "dashboards")
FILES = ("pyproject.toml", "README.md", "LICENSE", ".gitignore")
OF_PYTHON = ("PYTHON", "VIRTUAL_ENV")
UP = re.compile(r'^dbwatch_target_up\{[^}]*target="redis"[^}]*\} 1', re.MULTILINE)

# The servers of the tests are not of the newest release, which is a warning.
RELEASES = {"redis_version_outdated", "redis_version_unsupported"}
LENIENT = ("--fail-on", "critical")


@dataclass(frozen=True, slots=True)
class Installed:
    """dbwatch in an environment of its own, run in `folder`, which has nothing to do with the checkout."""

    home: Path
    folder: Path

    def run(self, *args: str | Path, code: int = 0) -> str:
        """The stdout of `dbwatch ARGS`, which must end with `code`."""
        done = run([self.home / "bin" / "dbwatch", *args], cwd=self.folder)
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def python(self, code: str) -> str:
        """The stdout of that environment's Python running `code`."""
        done = run([self.home / "bin" / "python", "-c", code], cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a release holds of the checkout: no cache, no test, no git."""
    folder = tmp_path_factory.mktemp("source")
    for name in FOLDERS:
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(CHECKOUT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the backend of requirements-dev.lock: an isolated build would fetch one of its own choice."""
    out = tmp_path_factory.mktemp("dist")
    done = run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source], cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """As the README says: an empty environment, the locked dependencies by their hashes, the wheel."""
    folder = tmp_path_factory.mktemp("elsewhere")
    home = folder / "venv"
    made = run([sys.executable, "-m", "venv", home], cwd=folder)
    assert made.returncode == 0, made.stderr
    pip: list[str | Path] = [
        home / "bin" / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--retries=1",
        "install",
        "--quiet",
    ]
    locked = run([*pip, "--require-hashes", "-r", CHECKOUT / "requirements.lock"], cwd=folder)
    if "after connection broken" in locked.stderr and locked.returncode:
        raise MissingError("pypi", "the package index cannot be reached")
    assert locked.returncode == 0, locked.stderr
    done = run([*pip, "--no-deps", "--no-index", wheel], cwd=folder)
    assert done.returncode == 0, done.stderr
    # A folder of this name in the current directory is nobody's catalogue.
    (folder / "checks" / "postgres").mkdir(parents=True)
    (folder / "checks" / "postgres" / "trap.yaml").write_text("not: a check\n", encoding="utf-8")
    return Installed(home, folder)


@pytest.fixture
def redis(fresh_redis: FreshRedis) -> RedisServer:
    return fresh_redis("redis-6.2")


def run(argv: Sequence[str | Path], *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run to its end without anything of this environment that would let the checkout in."""
    return subprocess.run(
        [str(arg) for arg in argv],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith((*NOT_INHERITED, *OF_PYTHON))}


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# -- what is inside --------------------------------------------------------------------------------


def test_it_holds_the_package_and_the_bundled_files_and_nothing_else(source: Path, wheel: Path) -> None:
    package = {f"dbwatch/{name}" for name in files_below(source / "dbwatch")}
    bundled = {
        f"dbwatch/bundled/{kind}/{name}"
        for kind in ("checks", "alerts", "dashboards")
        for name in files_below(source / kind)
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    of_package = {name for name in names if ".dist-info/" not in name}
    assert of_package == package | bundled
    assert {"dbwatch/py.typed", "dbwatch/report/templates/status.html"} <= of_package
    assert "dbwatch/bundled/checks/postgres/unused_index.yaml" in of_package


def test_its_metadata(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    info = f"dbwatch-{__version__}.dist-info"
    metadata = message_from_bytes(archive.read(f"{info}/METADATA"))
    assert wheel.name == f"dbwatch-{__version__}-py3-none-any.whl"
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "dbwatch = dbwatch.cli:main" in archive.read(f"{info}/entry_points.txt").decode()
    assert archive.read(f"{info}/licenses/LICENSE") == (CHECKOUT / "LICENSE").read_bytes()


# -- what it does when installed -------------------------------------------------------------------


def test_the_lock_is_all_it_needs(installed: Installed) -> None:
    done = run([installed.home / "bin" / "python", "-m", "pip", "check"], cwd=installed.folder)
    assert done.returncode == 0, done.stdout


def test_row_57_it_is_not_the_checkout_that_answers(installed: Installed) -> None:
    assert Path(installed.python("import dbwatch; print(dbwatch.__file__)")).is_relative_to(installed.home)
    checks = json.loads(installed.run("list", "--format", "json"))
    files = [path.relative_to(CHECKOUT / "checks") for path in (CHECKOUT / "checks").rglob("*.yaml")]
    assert len(checks) == sum(path.parts[0] != "compat" for path in files)
    outside = [check["file"] for check in checks if not Path(check["file"]).is_relative_to(installed.home)]
    assert outside == []


def test_row_57_validate_list_and_explain(installed: Installed) -> None:
    count = len(json.loads(installed.run("list", "--format", "json")))
    assert installed.run("validate").startswith(f"{count} bundled checks are fine")
    assert f"{count} checks" in installed.run("list")
    assert "Indexes that no query has used" in installed.run("explain", "unused_index")
    assert installed.run("--version") == f"dbwatch {__version__}\n"


def test_row_57_render_writes_the_committed_files(installed: Installed, tmp_path: Path) -> None:
    installed.run("render", "--out", tmp_path)
    for kind in ("alerts", "dashboards"):
        committed = {name for name in files_below(CHECKOUT / kind) if "provisioning" not in name}
        assert files_below(tmp_path / kind) == committed
        for name in files_below(tmp_path / kind):
            assert (tmp_path / kind / name).read_bytes() == (CHECKOUT / kind / name).read_bytes(), name
    assert files_below(tmp_path / "docs" / "checks") == files_below(CHECKOUT / "docs" / "checks")


def test_check_a_real_server(installed: Installed, redis: RedisServer) -> None:
    document = json.loads(installed.run("check", redis.url(), "--sample", "0", "--format", "json", *LENIENT))
    (target,) = document["targets"]
    assert target["engine"] == "redis"
    assert {c["check"] for c in target["checks"] if c["status"] not in ("ok", "skipped")} <= RELEASES
    assert target["server"]["version"].startswith("6.2")


def test_check_a_real_postgresql(installed: Installed, fresh_postgres: FreshPostgres) -> None:
    server = fresh_postgres(18, settings=SAFE)
    document = json.loads(installed.run("check", server.url(), "--sample", "0", "--format", "json", *LENIENT))
    (target,) = document["targets"]
    assert (target["engine"], target["server"]["role"]) == ("postgres", "primary")
    assert len(target["checks"]) >= 10
    assert [check["check"] for check in target["checks"] if check["reason"] == "error"] == []


def test_serve_with_its_page_and_metrics(installed: Installed, redis: RedisServer, tmp_path: Path) -> None:
    port = ports.claim()
    log = tmp_path / "serve.log"
    listen = f"127.0.0.1:{port.number}"
    argv: list[str | Path] = [installed.home / "bin" / "dbwatch", "serve", redis.url(), "--web.listen-address", listen]
    daemon = ServerProcess(argv, log=log, env=environment(), cwd=installed.folder)
    with httpx.Client(base_url=f"http://{listen}", trust_env=False, timeout=5) as client:

        def ready() -> bool:
            try:
                return client.get("/readyz").is_success
            except httpx.TransportError:
                return False

        try:
            daemon.until("answers /readyz", ready, timeout=30)
            assert UP.search(client.get("/metrics").text)
            page = client.get("/").text
            assert "<style>" in page
            assert "redis" in page
        finally:
            daemon.kill()
            port.release()


def test_the_demo_names_what_it_lacks(installed: Installed) -> None:
    """The servers of the demo are an extra, so the plain wheel has to say how to get it."""
    done = run([installed.home / "bin" / "dbwatch", "demo", "--once"], cwd=installed.folder)
    assert done.returncode == 3
    assert "dbwatch[demo]" in done.stderr
    assert "Traceback" not in done.stderr
