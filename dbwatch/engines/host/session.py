"""Owns a machine as a session: runs probes aside within their deadline, and tells the servers there what it sees.

There is nothing to keep open. Refuses to know what any file means.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.aside import Aside, CrowdedError, UnfinishedError
from dbwatch.engines.base import Answer, Measurement
from dbwatch.engines.host.context import HostContext, Probe
from dbwatch.engines.host.files import Files
from dbwatch.engines.host.groups import Group, find_group
from dbwatch.engines.host.kernel import Kernel
from dbwatch.engines.host.probes import OF_GROUPS, OF_VOLUMES, PROBES
from dbwatch.engines.host.telling import told_of
from dbwatch.engines.host.volumes import Volume, look_at_volumes
from dbwatch.engines.hosts import Teller
from dbwatch.engines.memory import Memory
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import Engine, Facts, RawRow, Reason, Role

_looks = Aside("dbwatch-host")


class HostSession:
    """See `engines.base.Session`."""

    def __init__(self, target: Target, kernel: Kernel, teller: Teller, memory: Memory, since: float) -> None:
        self._target = target
        self._place = target.place
        self._files = Files(target.place.root)
        self._kernel = kernel
        self._teller = teller
        self._memory = memory
        self._since = since
        self._step = "read"
        self._closed = False
        self._facts = self._facts_of("", None)

    @property
    def facts(self) -> Facts:
        return self._facts

    @property
    def step(self) -> str:
        return self._step

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def lost(self) -> bool:
        return False

    def refresh(self, deadline: Deadline) -> Facts:
        """What the kernel says of itself; the servers here are told their memory, cores and space."""
        release = (self._files.read("proc/sys/kernel/osrelease") or "").strip()
        uptime = (self._files.read("proc/uptime") or "").split()
        is_number = bool(uptime) and uptime[0].replace(".", "", 1).isdigit()
        self._facts = self._facts_of(release, time.time() - float(uptime[0]) if is_number else None)
        self._tell(self._volumes(deadline) if self._place.of else {}, deadline)
        return self._facts

    def measure(self, check: Check, deadline: Deadline) -> Measurement:
        name = check.probe or ""
        probe = PROBES.get(name)
        if probe is None:
            message = f"the host engine has no probe {name}; it has {', '.join(sorted(PROBES))}"
            raise CheckError(Reason.ERROR, message, step="probe")
        if name in OF_VOLUMES:
            return self._of_volumes(check, probe, deadline)
        if name in OF_GROUPS:
            return self._of_group(check, probe, deadline)
        return self._measured(check, self._rows(name, probe, deadline))

    def look(self, question: str, deadline: Deadline, *, limit: int) -> Answer:  # noqa: ARG002 - part of the seam
        raise CheckError(Reason.ERROR, "a machine is looked at with a shell", step="query")

    def cancel(self) -> None:
        """The kernel cannot be asked to stop; a look that hangs is left behind at its deadline."""

    def abort(self) -> None:
        self._closed = True

    def close(self) -> None:
        self._closed = True

    def _facts_of(self, release: str, started_at_seconds: float | None) -> Facts:
        return Facts(
            engine=Engine.HOST,
            version=tuple(int(part) for part in release.split("-")[0].split(".") if part.isdigit()),
            version_text=release,
            role=Role.PRIMARY,
            flavour=platform.system().lower(),
            started_at_seconds=started_at_seconds,
            address=self._target.address,
        )

    def _of_volumes(self, check: Check, probe: Probe, deadline: Deadline) -> Measurement:
        """The rows of the volumes that could be seen, and why the others could not, unless that is the question."""
        volumes = self._volumes(deadline)
        if not volumes:
            raise Skipped(Reason.PLATFORM, "no folder is named to look at: `volumes:` of the target", step="read")
        errors = {name: volume.error for name, volume in volumes.items() if volume.error is not None}
        hidden = {name: error for name, error in errors.items() if isinstance(error, Skipped)}
        asks_for_errors = check.probe == "volume_reachable"
        failed = {} if asks_for_errors else {name: error for name, error in errors.items() if name not in hidden}
        if len(hidden) + len(failed) == len(volumes):
            raise next(iter([*failed.values(), *hidden.values()]))
        rows = self._rows(check.probe or "", probe, deadline, volumes=volumes)
        self._tell(volumes, deadline)
        return replace(self._measured(check, rows), failed=failed, hidden=hidden, part="volume")

    def _of_group(self, check: Check, probe: Probe, deadline: Deadline) -> Measurement:
        """A group that cannot be found does not hide the machine."""
        name = check.probe or ""
        try:
            group = find_group(self._files, self._place.cgroup)
        except CheckError as error:
            if name == "cpu_throttling":
                raise
            seen = self._measured(check, self._rows(name, probe, deadline))
            return replace(seen, failed={self._place.cgroup or "": error}, part="control group")
        return self._measured(check, self._rows(name, probe, deadline, group=group))

    def _measured(self, check: Check, rows: Sequence[RawRow]) -> Measurement:
        return Measurement(tuple(rows[: check.limit]), 0.0, self._kernel.monotonic(), len(rows) > check.limit)

    def _volumes(self, deadline: Deadline) -> Mapping[str, Volume]:
        self._step = "statvfs"
        try:
            return look_at_volumes(self._place, self._kernel, deadline)
        finally:
            self._step = "read"

    def _rows(
        self,
        name: str,
        probe: Probe,
        deadline: Deadline,
        *,
        group: Group | None = None,
        volumes: Mapping[str, Volume] | None = None,
    ) -> Sequence[RawRow]:
        observed = self._kernel.monotonic() - self._since
        context = HostContext(self._place, self._files, self._kernel, group, volumes or {}, observed, self._memory)
        try:
            return _looks.within(deadline, (self._target.name, name), partial(probe, context))
        except UnfinishedError:
            text = f"the files below {self._place.root} do not answer"
            raise CheckError(Reason.TIMEOUT, text, step="read") from None
        except CrowdedError:
            raise CheckError(Reason.RESOURCES, "too many looks hang already", step="read") from None

    def _tell(self, volumes: Mapping[str, Volume], deadline: Deadline) -> None:
        told = None
        if self._place.of:
            key, name = (self._target.name, ""), self._target.name
            with suppress(UnfinishedError, CrowdedError):
                told = _looks.within(deadline, key, partial(told_of, name, self._place, self._files, volumes))
        self._teller.tell(self._place.of, told)
