"""Owns the machine as an engine: connecting is finding its /proc. Knows no driver and opens no connection."""

from __future__ import annotations

import sys

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Measurement
from dbwatch.engines.host.kernel import Kernel, RealKernel
from dbwatch.engines.host.session import HostSession
from dbwatch.engines.hosts import Hosts
from dbwatch.engines.memory import Memory
from dbwatch.errors import CheckError, TargetError
from dbwatch.model import Engine, Facts, RawRow, Reason


class HostAdapter:
    """See `engines.base.Adapter`. One a lane: it holds what is remembered of the machine, and since when."""

    def __init__(self, hosts: Hosts | None = None, kernel: Kernel | None = None) -> None:
        self._kernel = kernel if kernel is not None else RealKernel()
        self._teller = (hosts if hosts is not None else Hosts()).teller()
        self._memory = Memory()
        self._since = self._kernel.monotonic()

    @property
    def engine(self) -> Engine:
        return Engine.HOST

    def connect(self, target: Target, deadline: Deadline) -> HostSession:  # noqa: ARG002 - part of the seam
        """Fails for a root that holds no /proc, which is a mount that was forgotten; not where there never is one."""
        proc = target.place.root / "proc"
        try:
            found = sys.platform != "linux" or (proc / "stat").exists()
        except OSError as error:
            self._teller.tell(target.place.of, None)
            text = f"{proc} cannot be looked at: {error.strerror or error}"
            raise TargetError(Reason.PRIVILEGE, "connect", text) from None
        if not found:
            self._teller.tell(target.place.of, None)
            text = f"{proc} holds no files of a kernel; mount the machine's / at {target.place.root} or mend `root:`"
            raise TargetError(Reason.ERROR, "connect", text)
        return HostSession(target, self._kernel, self._teller, self._memory, self._since)

    def reach(self, target: Target, deadline: Deadline) -> Measurement:
        """Up when the kernel's files are there."""
        row: RawRow = {"up": 1.0, "phase": None, "reason": None, "message": "the kernel's files can be read"}
        try:
            self.connect(target, deadline).close()
        except TargetError as error:
            row = {"up": 0.0, "phase": error.phase, "reason": str(error.reason), "message": str(error)}
        return Measurement((row,), 0.0, self._kernel.monotonic())

    def remedy(self, error: CheckError, check: Check, facts: Facts) -> str | None:  # noqa: ARG002 - part of the seam
        return error.remedy
