"""Owns what Barman's JSON means, of version 2.10 and newer. Pure.

Barman does not tell a catalogue that it may not read, or that is gone, from an empty one. It does not tell a backup
under way from one that was killed either; but it makes one at a time, so one that a later one overtook was killed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dbwatch.engines.backup.record import (
    Archive,
    Backup,
    Kind,
    Repository,
    Retention,
    Running,
    Seen,
    SourceName,
    State,
    Trouble,
)
from dbwatch.engines.backup.tools.complaint import clean
from dbwatch.engines.backup.tools.document import Node

_DONE = ("DONE",)
_CAN_WAIT = frozenset(
    {
        "minimum_redundancy_requirements",
        "backup_maximum_age",
        "backup_minimum_size",
        "failed_backups",
        "archiver_errors",
        "empty_incoming_directory",
        "empty_streaming_directory",
        "incoming_wals_directory",
        "streaming_wals_directory",
        "wal_maximum_age",
        "postgresql_server_is_standby",
    }
)
"""What Barman itself lists as non-critical checks."""
_REDUNDANCY = re.compile(r"REDUNDANCY (\d+)")
_WINDOW = re.compile(r"RECOVERY WINDOW OF (\d+) (DAY|WEEK|MONTH)S?")
_PERIOD_SECONDS = {"DAY": 86_400.0, "WEEK": 7 * 86_400.0, "MONTH": 31 * 86_400.0}


@dataclass(frozen=True, slots=True)
class Told:
    """Barman's answers about one server: all backups, the newest done and failed one at length, status, checks.

    `silent` says which of the last two gave no answer, and why.
    """

    backups: Node
    newest: Node | None
    failure: Node | None
    status: Node | None
    checks: Node | None
    silent: tuple[str, ...] = ()


def newest_done(backups: Node) -> str | None:
    """The id of the newest backup that is done; ids are dates, so they sort."""
    return max((name for name in _names(backups, _DONE)), default=None)


def newest_failed(backups: Node) -> str | None:
    """The id of the newest failed backup, when none was done since."""
    failed = max((name for name in _names(backups, ("FAILED",))), default=None)
    return failed if failed is not None and failed > (newest_done(backups) or "") else None


def unknown_server(answer: Node, server: str) -> str:
    """What Barman says in place of a server's backups."""
    said = next((node.text or "" for node in answer["_ERROR"]), "")
    return f"Barman has no server {server}" + (f": {clean(said)}" if said else "")


def seen_of(told: Told, server: str, as_of_seconds: float, command: str) -> Seen:
    """The report about one server. Raises CheckError for nonsense."""
    backups = tuple(_backups(told))
    nothing = "Barman sees no backup: none was made, or its catalogue is gone or not readable for its user"
    return Seen(
        source=SourceName.BARMAN,
        name=server,
        as_of_seconds=as_of_seconds,
        system_identifier=told.newest["system_id"].text if told.newest else None,
        repositories=(Repository(problem=None if backups else nothing),),
        backups=backups,
        archives=_archives(told),
        running=tuple(_running(backups)),
        retention=tuple(_retention(told.status)),
        troubles=tuple(_troubles(told)),
        command=command,
    )


def _names(backups: Node, states: Sequence[str]) -> Iterator[str]:
    for node in backups:
        name = node["backup_id"].text
        if name is not None and node["status"].text in states:
            yield name


def _backups(told: Told) -> Iterator[Backup]:
    nodes = list(told.backups)
    offset = next((found for node in nodes if (found := _offset(node)) is not None), None)
    newest = max((node["backup_id"].text or "" for node in nodes), default="")
    for node in nodes:
        name = node["backup_id"].text or ""
        detail = next((d for d in (told.newest, told.failure) if d and d["backup_id"].text == name), None)
        yield _backup(node, name, detail, offset, is_newest=name == newest)


def _backup(node: Node, name: str, detail: Node | None, offset: float | None, *, is_newest: bool) -> Backup:
    status = node["status"].text
    state, error = _state(status, is_newest=is_newest)
    base = detail["base_backup_information"] if detail else None
    if detail and (told := detail["error"].text):
        error = clean(told)
    started = base["begin_time_timestamp"].moment_seconds if base else None
    size = node["size_bytes"].size_bytes
    return Backup(
        kind=Kind.INCREMENTAL if node["backup_type"].text == "incremental" else Kind.FULL,
        label=clean(name or "unnamed"),
        state=state,
        started_at_seconds=started if started is not None else _moment_of(name, offset),
        finished_at_seconds=node["end_time_timestamp"].moment_seconds if state is State.DONE else None,
        size_bytes=size,
        stored_bytes=size,
        error=error,
        first_wal=base["begin_wal"].wal_name if base else None,
        last_wal=base["end_wal"].wal_name if base else None,
        reference=detail["catalog_information"]["parent_backup_id"].text if detail else None,
        permanent=(node["retention_status"].text or "").startswith("KEEP"),
        system_identifier=detail["system_id"].text if detail else None,
    )


def _state(status: str | None, *, is_newest: bool) -> tuple[State, str | None]:
    match status:
        case "DONE":
            return State.DONE, None
        case "FAILED":
            return State.FAILED, "Barman calls it failed"
        case "WAITING_FOR_WALS":
            return State.RUNNING, "is copied and waits for the log it needs"
        case _ if is_newest:
            return State.RUNNING, None
        case _:
            return State.FAILED, "never finished: a later one has been started"


def _offset(node: Node) -> float | None:
    """How far Barman's own clock is ahead of UTC: it names backups, and tells `end_time`, in its local time."""
    local, moment = node["end_time"].text, node["end_time_timestamp"].moment_seconds
    if local is None or moment is None:
        return None
    try:
        return datetime.strptime(local, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp() - moment
    except ValueError:
        return None


def _moment_of(name: str, offset: float | None) -> float | None:
    """When the backup of this id was begun. Without another one to compare with, Barman's zone is taken for ours."""
    try:
        begun = datetime.strptime(name[:15], "%Y%m%dT%H%M%S")  # noqa: DTZ007 - the zone follows
    except ValueError:
        return None
    return begun.timestamp() if offset is None else begun.replace(tzinfo=UTC).timestamp() - offset


def _running(backups: Sequence[Backup]) -> Iterator[Running]:
    for backup in backups:
        if backup.state is State.RUNNING:
            yield Running(backup.kind, backup.started_at_seconds)


def _archives(told: Told) -> tuple[Archive, ...] | None:
    """Only a done backup is shown with the last archived file; without one nothing is known."""
    if told.newest is None:
        return None
    last = told.newest["wal_information"]["last_available"].wal_name
    first = told.newest["base_backup_information"]["begin_wal"].wal_name
    return (Archive(first_wal=first, last_wal=last),) if last is not None else ()


def _retention(status: Node | None) -> Iterator[Retention]:
    said = (status["retention_policies"]["message"].text if status else None) or ""
    if found := _REDUNDANCY.search(said):
        yield Retention(full_backups=int(found[1]))
    elif found := _WINDOW.search(said):
        yield Retention(seconds=int(found[1]) * _PERIOD_SECONDS[found[2]])


def _troubles(told: Told) -> Iterator[Trouble]:
    yield from (Trouble(text, failed=False) for text in told.silent)
    if told.status and told.status["active"]["message"].text == "False":
        yield Trouble("the server is set inactive in Barman: nothing is backed up")
    if told.status and told.status["disabled"]["message"].text == "True":
        yield Trouble("Barman has disabled the server because of its configuration")
    for name, node in told.checks.members() if told.checks else ():
        if node["status"].text not in ("OK", None):
            hint = clean(node["hint"].text or "") or "FAILED"
            yield Trouble(f"{name.replace('_', ' ')}: {hint}", failed=name not in _CAN_WAIT)
