"""One server program running: its folder, its log, its user, its end. The servers' classes hold one of these."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import SIGCONT, SIGTERM, Signals

from tests.harness.proctree import descendants, end_tree, send
from tests.harness.reaper import reaper
from tests.harness.waiting import eventually
from tests.harness.workplace import workplace

UNPRIVILEGED = "nobody"


def server_user() -> str | None:
    """Who runs servers that refuse root: `nobody` when we are root, else ourselves (None)."""
    return UNPRIVILEGED if os.geteuid() == 0 else None


def server_dir(name: str) -> Path:
    """A new folder owned by the servers' user; removed by `remove_dir` or after the test process is gone.

    The path stays short: a Unix socket's path ends at 107 bytes.
    """
    path = Path(tempfile.mkdtemp(prefix=f"dbwatch-{name}-", dir=workplace()))
    if not os.environ.get("DBWATCH_KEEP"):
        reaper.watch_dir(path)
    if user := server_user():
        shutil.chown(path, user=user)
    return path


def remove_dir(path: Path) -> None:
    """Remove a server's folder. DBWATCH_KEEP=1 keeps it, to read what a server left behind."""
    if not os.environ.get("DBWATCH_KEEP"):
        shutil.rmtree(path, ignore_errors=True)
    reaper.forget_dir(path)


def run_as_server_user(argv: Sequence[str | Path], *, what: str) -> None:
    """Run a helper such as initdb to its end as the servers' user; its output is in the error when it fails."""
    done = subprocess.run(
        [str(a) for a in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd="/",
        user=server_user(),
        group=_group_of(server_user()),
        extra_groups=[] if server_user() else None,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{what} ended with {done.returncode}:\n{done.stdout}")


class ServerProcess:
    """A child process with its output in `log`, guarded by the reaper from its first moment."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        unprivileged: bool = False,
        env: Mapping[str, str] | None = None,
        stdout: Path | None = None,
        cwd: Path | None = None,
    ) -> None:
        user = server_user() if unprivileged else None
        out = stdout or log
        with log.open("ab") as err_file, out.open("ab") as out_file:
            self._popen = subprocess.Popen(
                [str(a) for a in argv],
                stdin=subprocess.DEVNULL,
                stdout=out_file if stdout else err_file,
                stderr=err_file,
                cwd=cwd or log.parent,
                env=dict(env) if env is not None else None,
                user=user,
                group=_group_of(user),
                extra_groups=[] if user else None,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the servers in order
            )
        self._started = reaper.watch(self._popen.pid)
        self.log = log
        self.name = Path(argv[0]).name

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._popen.poll()

    def check_running(self) -> None:
        """RuntimeError with the end of the log when the program has ended by itself."""
        if (code := self.returncode) is not None:
            raise RuntimeError(f"{self.name} ended with {code}:\n{self.log_tail()}")

    def log_tail(self, lines: int = 40) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def signal(self, sig: Signals) -> None:
        self._popen.send_signal(sig)

    def wait(self, timeout: float) -> int:
        """Its exit code; TimeoutError with the log when it does not end in time."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} did not end in {timeout:g} s:\n{self.log_tail()}") from None
        reaper.release(self.pid)
        return code

    def thaw(self) -> None:
        """Let it and its children go on after any SIGSTOP, so that they can hear what they are told next."""
        send([self.pid, *descendants(self.pid)], SIGCONT)

    def kill(self, first: Signals = SIGTERM, grace: float = 3.0) -> None:
        """End it and all its children whatever their state, frozen ones too. Safe to repeat."""
        if self._popen.returncode is None:
            try:
                end_tree(self.pid, started=self._started, first=first, grace=grace)
            finally:
                self.wait(timeout=10)

    def until(self, ready: str, probe: Callable[[], object], timeout: float) -> None:
        """Poll `probe` until it answers true, giving up at once when the program ends."""

        def answers() -> bool:
            self.check_running()
            return bool(probe())

        try:
            eventually(answers, timeout=timeout, every=0.03, what=f"{self.name} {ready}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log_tail()}") from None


def _group_of(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None
