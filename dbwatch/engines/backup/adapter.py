"""Owns the backup side of the seam: a folder of dump files as a target. Knows no server and opens no connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from dbwatch.catalogue import Check
from dbwatch.config import Dumps, Target
from dbwatch.deadline import Deadline
from dbwatch.engines.aside import Aside, CrowdedError, UnfinishedError
from dbwatch.engines.backup.rows import dumps_row
from dbwatch.engines.base import Answer, Measurement
from dbwatch.engines.dumps import DumpsSeen, scan_dumps
from dbwatch.errors import CheckError, TargetError
from dbwatch.model import Engine, Facts, RawRow, Reason, Role

_looks = Aside("dbwatch-dumps")
_PROBES: Mapping[str, Callable[[Dumps, DumpsSeen, float], RawRow]] = {"dumps": dumps_row}


class BackupAdapter:
    """Dump files."""

    @property
    def engine(self) -> Engine:
        return Engine.BACKUP

    def connect(self, target: Target, deadline: Deadline) -> BackupSession:  # noqa: ARG002 - part of the seam
        """Never fails for a real backup target: a folder that cannot be read is the answer of the check."""
        if target.dumps is None:
            raise TargetError(Reason.ERROR, "connect", f"{target.name} names no dump files; it needs `dumps:`")
        return BackupSession(target, target.dumps)

    def reach(self, target: Target, deadline: Deadline) -> Measurement:
        """Up when the folder can be listed."""
        started = time.monotonic()
        row: RawRow = {"up": 1.0, "phase": None, "reason": None, "message": "the folder can be read"}
        try:
            look(target.dumps or Dumps(Path()), deadline)
        except CheckError as error:
            row = {"up": 0.0, "phase": "list", "reason": str(error.reason), "message": str(error)}
        now = time.monotonic()
        return Measurement((row,), now - started, now)

    def remedy(self, error: CheckError, check: Check, facts: Facts) -> str | None:  # noqa: ARG002 - part of the seam
        return None


class BackupSession:
    """Looks at the folder anew at every check; there is nothing to keep open."""

    def __init__(self, target: Target, dumps: Dumps) -> None:
        self._dumps = dumps
        self._closed = False
        self._facts = Facts(
            engine=Engine.BACKUP,
            version=(),
            version_text="",
            role=Role.PRIMARY,
            flavour="files",
            address=target.address,
        )

    @property
    def facts(self) -> Facts:
        return self._facts

    @property
    def step(self) -> str:
        return "list"

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def lost(self) -> bool:
        return False

    def refresh(self, deadline: Deadline) -> Facts:  # noqa: ARG002 - part of the seam
        return self._facts

    def measure(self, check: Check, deadline: Deadline) -> Measurement:
        probe = _PROBES.get(check.probe or "")
        if probe is None:
            message = f"the backup engine has no probe {check.probe}; it has {', '.join(sorted(_PROBES))}"
            raise CheckError(Reason.ERROR, message, step="probe")
        seen = look(self._dumps, deadline)
        return Measurement((probe(self._dumps, seen, time.time()),), 0.0, time.monotonic())

    def look(self, question: str, deadline: Deadline, *, limit: int) -> Answer:  # noqa: ARG002 - part of the seam
        raise CheckError(Reason.ERROR, "files are looked at with a shell", step="query")

    def cancel(self) -> None:
        """A disk that hangs cannot be asked to stop; the look is left behind at its deadline."""

    def abort(self) -> None:
        self._closed = True

    def close(self) -> None:
        self._closed = True


def look(dumps: Dumps, deadline: Deadline) -> DumpsSeen:
    """Scan within the deadline. Raises CheckError when the folder cannot be seen: that is unknown, not "no backup"."""
    try:
        seen = _looks.within(deadline, dumps, partial(scan_dumps, dumps, time.time()))
    except UnfinishedError:
        message = f"{dumps.path} did not answer in time; does its disk or network share hang?"
        raise CheckError(Reason.TIMEOUT, message, step="list") from None
    except CrowdedError:
        raise CheckError(Reason.RESOURCES, "too many folders hang already", step="list") from None
    if seen.unreadable is not None:
        raise CheckError(Reason.ERROR, f"{seen.unreadable}; no backup can be seen", step="list")
    return seen
