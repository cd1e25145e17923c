"""A process that has imported dbwatch and forks a new one for every command: importing takes longer than most runs.

The fork has the arguments, environment, folder and streams of its command, runs `dbwatch` from its entry point, and
ends as any Python does. What Python itself reads of the environment (PYTHON*, the locale) is that of the first command.
`command.start`, the daemons of the harness and the tests of the wheel start a Python of their own, as users do.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from selectors import EVENT_READ, DefaultSelector

_MOST_BYTES = 100_000


class Nursery:
    """The tests' side. The process is started at the first command and ends with this one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def run(self, args: Sequence[str], env: Mapping[str, str], timeout: float) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of `dbwatch ARGS`; TimeoutError with both after killing it."""
        pipes = [os.pipe() for _ in range(3)]
        try:
            request = json.dumps({"args": list(args), "env": dict(env)}).encode()
            with self._lock:
                socket.send_fds(self._started(env), [request], [writing for _, writing in pipes])
        finally:
            for _, writing in pipes:
                os.close(writing)
        out, err, told = _read([reading for reading, _ in pipes], time.monotonic() + timeout)
        if not told:
            raise RuntimeError(f"the nursery has ended: {self._close()}")
        if told.count("\n") < 2:
            raise TimeoutError(f"{out}\n{err}")
        return int(told.split()[1]), out, err

    def _started(self, env: Mapping[str, str]) -> socket.socket:
        if self._socket is not None:
            return self._socket
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        atexit.register(self._close)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.acceptance.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                # Python looks once at what its streams are: here at pipes, as those of the commands.
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=dict(env),
                cwd=tempfile.gettempdir(),
                start_new_session=True,  # Ctrl-C is for pytest
            )
        return self._socket

    def _close(self) -> str:
        """End the process; what it said itself."""
        if self._socket is not None:
            self._socket.close()
        return self._process.communicate(timeout=60)[1].decode() if self._process is not None else ""


def _read(descriptors: list[int], deadline: float) -> tuple[str, str, str]:
    """Everything from each until its end. The third tells the process's id, then its exit code."""
    read = dict.fromkeys(descriptors, b"")
    killed = False
    with DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready and not killed:
                killed = True
                deadline += 10
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(read[descriptors[2]].split()[0]), signal.SIGKILL)
                continue
            if not ready:
                break
            for key, _ in ready:
                piece = os.read(key.fd, 65536)
                read[key.fd] += piece
                if not piece:
                    selector.unregister(key.fd)
    for descriptor in descriptors:
        os.close(descriptor)
    out, err, told = (text.decode() for text in read.values())
    return out, err, told.split("\n")[0] if killed else told


# -- the process itself ----------------------------------------------------------------------------


def _import_everything() -> None:
    package = importlib.import_module("dbwatch")
    for module in pkgutil.walk_packages(package.__path__, "dbwatch."):
        if not module.name.startswith(("dbwatch.__main__", "dbwatch.demo")):
            importlib.import_module(module.name)


def _serve(requests: socket.socket) -> int:
    """Answer requests until nobody is left to ask; in a fork, the exit code of its command."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(requests, _MOST_BYTES, 3)
        if not data:
            return 0
        if os.fork() == 0:
            requests.close()
            request = json.loads(data)
            return _command(request["args"], request["env"], *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _command(args: list[str], env: dict[str, str], out: int, err: int, tell: int) -> int:
    """Of two processes the first waits for the second, which is the command."""
    pid = os.fork()
    if pid:
        os.close(out)
        os.close(err)
        os.write(tell, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(tell, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.close(tell)
    for descriptor, stream in ((out, 1), (err, 2)):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["dbwatch", *args]
    from dbwatch.cli import main

    return main()


if __name__ == "__main__":
    _import_everything()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        code = _serve(requests)
    sys.exit(code)
