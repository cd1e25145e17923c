"""Owns the last word of a test run: the trial of all rules that the cases of this run have captures for.

Cases run in any order in any worker, so the trial comes when all have ended, and a rule that fails it fails the run.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, cast

import pytest

from tests.harness.binaries import MissingError
from tests.harness.requirement import required
from tests.proof import capture

_FOLDER: Final = pytest.StashKey[Path]()
_PROOF: Final = pytest.StashKey["Proof"]()
_ROOT: Final = Path(__file__).resolve().parents[2]
_KEPT: Final = _ROOT / "build" / "proof"


@dataclass(frozen=True, slots=True)
class Proof:
    """What the trial said, for the end of the run."""

    line: str
    troubles: tuple[str, ...]


class _Node(Protocol):
    config: pytest.Config
    workerinput: dict[str, str]


def pytest_configure(config: pytest.Config) -> None:
    """Workers write into the folder of the process that started them."""
    told = getattr(config, "workerinput", None)
    if told is not None:
        folder = Path(cast("dict[str, str]", told)["dbwatch_proof"])
    else:
        folder = config.stash[_FOLDER] = Path(tempfile.mkdtemp(prefix="dbwatch-proof-"))
    capture.into(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: _Node) -> None:
    node.workerinput["dbwatch_proof"] = str(node.config.stash[_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    capture.into(None)
    if _FOLDER in config.stash:
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    folder = session.config.stash.get(_FOLDER, None)
    if folder is None or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return
    captures = [capture.Capture.load(path) for path in sorted(folder.glob("*.json"))]
    if not captures:
        return
    try:
        proof = _tried(captures, folder)
    except MissingError as missing:
        proof = Proof(f"not tried: {missing}", (str(missing),) if required(missing.what) else ())
    except Exception as error:
        proof = Proof("the trial itself broke", (f"{type(error).__name__}: {error}",))
    session.config.stash[_PROOF] = proof
    if proof.troubles:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        shutil.copytree(folder, _KEPT, dirs_exist_ok=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    proof = config.stash.get(_PROOF, None)
    if proof is None:
        return
    terminalreporter.section("proof of the alerts")
    for trouble in proof.troubles:
        terminalreporter.write_line(f"FAILED {trouble}", red=True)
    if proof.troubles:
        terminalreporter.write_line(f"what was captured is kept in {_KEPT.relative_to(_ROOT)}")
    terminalreporter.write_line(proof.line)


def _tried(captures: list[capture.Capture], folder: Path) -> Proof:
    from dbwatch.bundled import bundled
    from dbwatch.catalogue import load_catalogue
    from dbwatch.render.names import alert_name, has_alert
    from tests.proof.trial import judge

    started = time.monotonic()
    catalogue = load_catalogue([bundled("checks")])
    found = judge(catalogue, captures, folder)
    total = sum(len(check.levels) for check in catalogue if has_alert(check))
    line = f"{found.told(total)}, {len(captures)} captures, {time.monotonic() - started:.1f} s"
    whole = _whole(captures)
    names = {alert_name(check) for check in catalogue if (str(check.engine), check.name) in whole}
    unproven = [f"{name} {severity} was not seen to fire" for name, severity in found.not_fired() if name in names]
    unproven += [
        f"{name} {severity} was not seen to be silent" for name, severity in found.not_silent() if name in names
    ]
    return Proof(line, (*found.troubles, *unproven))


def _whole(captures: list[capture.Capture]) -> set[tuple[str, str]]:
    """The checks of which every case ran: of these nothing may be left unproven."""
    from tests.checks.cases import all_check_names, case_file

    ran: dict[tuple[str, str], set[str]] = {}
    for found in captures:
        ran.setdefault((found.engine, found.check), set()).add(found.case)
    return {
        (str(engine), name)
        for engine, name in all_check_names()
        if {case.name for case in case_file(engine, name).cases} <= ran.get((str(engine), name), set())
    }
