"""Owns the backup side of the seam: the backups of a target, whatever made them. Knows no server and no threshold."""

from __future__ import annotations

import time
from collections.abc import Sequence

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.backup.context import BackupContext, Told
from dbwatch.engines.backup.probes import AGES, PROBES, RESTORE
from dbwatch.engines.backup.probes.chain import furthest
from dbwatch.engines.backup.record import SourceName
from dbwatch.engines.backup.sources import Looker, plan
from dbwatch.engines.base import Answer, Measurement
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.cluster import Clusters
from dbwatch.errors import CheckError, Skipped, TargetError
from dbwatch.model import Engine, Facts, RawRow, Reason, Role

_AWAITED_SECONDS = 3.0
_STEP_SECONDS = 0.05


class BackupAdapter:
    """Dump files, backup tools, markers. One a lane: what the sources told is remembered here."""

    def __init__(self, clusters: Clusters | None = None) -> None:
        self._clusters = clusters if clusters is not None else Clusters()
        self._memory = Memory()
        self._looker: Looker | None = None

    @property
    def engine(self) -> Engine:
        return Engine.BACKUP

    def connect(self, target: Target, deadline: Deadline) -> BackupSession:  # noqa: ARG002 - part of the seam
        """Never fails for a real backup target: what cannot be looked at is the answer of the check."""
        return BackupSession(target, self._looking(target), self._memory, self._clusters)

    def reach(self, target: Target, deadline: Deadline) -> Measurement:
        """Up when at least one source answers: whatever it says."""
        started = time.monotonic()
        looked = self._looking(target).look(deadline, _is_backup)
        failed = [one for one in looked if one.error is not None]
        row: RawRow = {"up": 1.0, "phase": None, "reason": None, "message": "the backups can be looked at"}
        if failed and len(failed) == len(looked) and failed[0].error is not None:
            error = failed[0].error
            row = {"up": 0.0, "phase": error.step, "reason": str(error.reason), "message": str(error)}
        now = time.monotonic()
        return Measurement((row,), now - started, now)

    def remedy(self, error: CheckError, check: Check, facts: Facts) -> str | None:  # noqa: ARG002 - part of the seam
        return error.remedy

    def _looking(self, target: Target) -> Looker:
        if self._looker is None:
            self._looker = Looker(plan(target.backups))
        if not self._looker.planned:
            message = f"{target.name} names no backups; it needs `dumps`, `pgbackrest`, `barman`, `walg` or `marker`"
            raise TargetError(Reason.ERROR, "connect", message)
        return self._looker


class BackupSession:
    """Looks anew as often as the sources bear it; there is nothing to keep open."""

    def __init__(self, target: Target, looker: Looker, memory: Memory, clusters: Clusters) -> None:
        self._target = target
        self._looker = looker
        self._memory = memory
        self._clusters = clusters
        self._closed = False
        self._awaited = False
        self._facts = Facts(
            engine=Engine.BACKUP,
            version=(),
            version_text="",
            role=Role.PRIMARY,
            flavour="files" if not looker.planned else _flavour(looker),
            address=target.address,
        )

    @property
    def facts(self) -> Facts:
        return self._facts

    @property
    def step(self) -> str:
        return "look"

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def lost(self) -> bool:
        return False

    def refresh(self, deadline: Deadline) -> Facts:  # noqa: ARG002 - part of the seam
        return self._facts

    def measure(self, check: Check, deadline: Deadline) -> Measurement:
        probe = PROBES.get(check.probe or "")
        if probe is None:
            message = f"the backup engine has no probe {check.probe}; it has {', '.join(sorted(PROBES))}"
            raise CheckError(Reason.ERROR, message, step="probe")
        looked = self._looker.look(deadline, _is_restore_test if check.probe == RESTORE else _is_backup)
        errors = {one.planned.text: one.error for one in looked if one.error is not None}
        told = [Told(one.planned, one.seen) for one in looked if one.seen is not None]
        if errors and not told:
            raise next(iter(errors.values()))
        if check.probe == AGES:
            errors |= _out_of_reach(told)
        self._await_servers(told, deadline)
        context = BackupContext(self._target, told, time.time(), self._memory, self._clusters)
        try:
            rows = tuple(probe(context))
        except Skipped:
            if errors:  # whether the question arises is what the silent source would have told
                raise next(iter(errors.values())) from None
            raise
        return Measurement(rows, 0.0, time.monotonic(), failed=errors, part="source")

    def look(self, question: str, deadline: Deadline, *, limit: int) -> Answer:  # noqa: ARG002 - part of the seam
        raise CheckError(Reason.ERROR, "backups are looked at with a shell", step="query")

    def cancel(self) -> None:
        """A disk that hangs cannot be asked to stop; the look is left behind at its deadline."""

    def abort(self) -> None:
        self._closed = True

    def close(self) -> None:
        self._closed = True

    def _await_servers(self, told: Sequence[Told], deadline: Deadline) -> None:
        """Once: a run that looks at everything one time begins with all targets at the same moment."""
        if self._awaited or not any(one.seen.archives is not None for one in told):
            return
        self._awaited = True
        until = deadline.capped(_AWAITED_SECONDS)
        context = BackupContext(self._target, told, time.time(), self._memory, self._clusters)
        named = self._target.backups.server is not None
        if not named and not any(context.cluster(one.seen) for one in told):
            return
        while not until.passed and not any(_has_told(context, one) for one in told):
            time.sleep(_STEP_SECONDS)


def _has_told(context: BackupContext, told: Told) -> bool:
    found = context.cluster(told.seen)
    return found is not None and furthest(found[1], context.target.backups.server) is not None


def _out_of_reach(told: Sequence[Told]) -> dict[str, CheckError]:
    """Repositories of whose backups nobody knows how old they are; that they are out of reach is told elsewhere."""
    return {
        f"{one.planned.text} {repository.name}": CheckError(Reason.UNREACHABLE, repository.unreachable, step="look")
        for one in told
        for repository in one.seen.repositories
        if repository.unreachable is not None
    }


def _flavour(looker: Looker) -> str:
    names = {str(one.source.source) for one in looker.planned if _is_backup(one.source.source)}
    return "files" if names <= {"dumps", "marker"} else "+".join(sorted(names))


def _is_backup(source: SourceName) -> bool:
    return source is not SourceName.RESTORE_TEST


def _is_restore_test(source: SourceName) -> bool:
    return source is SourceName.RESTORE_TEST
