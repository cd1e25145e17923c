"""Owns what a case leaves behind for the proof of its alert: the daemon's page after each look, and what was judged.

Refuses to know Prometheus. A case records only where `into` was told a folder, which the plugin does.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.exposition import Exposition
from dbwatch.model import Engine, Outcome, Status
from dbwatch.store import Store


@dataclass(frozen=True, slots=True)
class CapturedRow:
    """One row as the verdict saw it; `previous` are its numbers at the look before, when it was there."""

    labels: dict[str, str]
    values: dict[str, float | str | None]
    previous: dict[str, float | None] | None


@dataclass(frozen=True, slots=True)
class Capture:
    """One case: its outcome and the pages that a scrape would have got. `before` is empty when it looked once."""

    engine: str
    check: str
    case: str
    status: str
    reason: str | None
    findings: dict[str, int]
    overridden: bool
    elapsed_seconds: float
    rows: tuple[CapturedRow, ...]
    page: str
    before: str

    @property
    def name(self) -> str:
        return f"{self.engine}/{self.check}: {self.case}"

    def save(self, folder: Path) -> None:
        name = hashlib.sha256(self.name.encode()).hexdigest()[:16]
        path = folder / f"{self.engine}-{self.check}-{name}.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)), encoding="utf-8")
        new.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        document = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(CapturedRow(**row) for row in document.pop("rows"))
        return cls(**document, rows=rows)


class Tick:
    """A scheduler that is alive."""

    @property
    def tick_timestamp_seconds(self) -> float:
        return time.time()


@dataclass(slots=True)
class _Recorder:
    """Listens to the store of one case."""

    engine: Engine
    check: str
    case: str
    looks: list[tuple[Outcome, str]] = field(default_factory=list)
    overridden: bool = False

    def attach(self, store: Store) -> None:
        exposition = Exposition(store, Tick())

        def heard(target: Target, check: Check, outcome: Outcome) -> None:
            exposition.update(target, check, outcome)
            self.overridden = check.name in target.thresholds
            self.looks.append((outcome, exposition.page().decode()))

        store.subscribe(heard)

    def capture(self) -> Capture | None:
        if not self.looks:
            return None
        outcome, page = self.looks[-1]
        first, before = self.looks[-2] if len(self.looks) > 1 else (None, "")
        earlier = {row.key: row.values for row in first.rows} if first is not None else {}
        return Capture(
            engine=str(self.engine),
            check=self.check,
            case=self.case,
            status=str(outcome.status),
            reason=str(outcome.reason) if outcome.reason else None,
            findings=_counted(outcome),
            overridden=self.overridden,
            elapsed_seconds=outcome.finished - first.finished if first is not None else 0.0,
            rows=tuple(
                CapturedRow(dict(row.labels), _values({**row.values, **row.details}), _numbers(earlier.get(row.key)))
                for row in outcome.rows
            ),
            page=page,
            before=before,
        )


_folder: Path | None = None
_recording: ContextVar[_Recorder | None] = ContextVar("recording", default=None)
_FINDINGS: Final = (Status.CRITICAL, Status.WARNING)


def into(folder: Path | None) -> None:
    """Where captures of this process go; None records nothing."""
    global _folder
    _folder = folder


@contextmanager
def recorded(engine: Engine, check: str, case: str, *, wanted: bool) -> Iterator[None]:
    """Keep what the case within shows, if it is `wanted`: one server of a check's many is enough."""
    if _folder is None or not wanted:
        yield
        return
    recorder = _Recorder(engine, check, case)
    token = _recording.set(recorder)
    try:
        yield
    finally:
        _recording.reset(token)
    capture = recorder.capture()
    if capture is not None:
        capture.save(_folder)


def listen(store: Store) -> None:
    """Record what this store hears, when a case is being recorded."""
    recorder = _recording.get()
    if recorder is not None:
        recorder.attach(store)


def _counted(outcome: Outcome) -> dict[str, int]:
    counts = {str(status): sum(found.status is status for found in outcome.findings) for status in _FINDINGS}
    return {status: count for status, count in counts.items() if count}


def _values(values: Mapping[str, float | str | bool | None]) -> dict[str, float | str | None]:
    return {name: float(value) if isinstance(value, bool | int) else value for name, value in values.items()}


def _numbers(values: Mapping[str, float | None] | None) -> dict[str, float | None] | None:
    return None if values is None else {name: None if v is None else float(v) for name, v in values.items()}
