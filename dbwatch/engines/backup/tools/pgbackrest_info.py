"""Owns what pgBackRest's `info --output=json` means, of version 2.0 and newer. Pure.

Keys came with the versions (`repo` 2.32, `lsn` and `error` 2.36, a backup's progress 2.48), so none but a stanza's name
is taken for granted. A stanza that was never made and a repository whose path is gone look the same to pgBackRest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbwatch.engines.backup.record import Archive, Backup, Gap, Kind, Repository, Running, Seen, SourceName
from dbwatch.engines.backup.tools.complaint import clean
from dbwatch.engines.backup.tools.document import Node
from dbwatch.engines.backup.tools.walname import lies_before

_KINDS = {"full": Kind.FULL, "diff": Kind.DIFFERENTIAL, "incr": Kind.INCREMENTAL}
_NO_STANZA = "has no stanza {stanza}: it was never created, or the repository's path is gone"
_PROBLEMS = {
    1: _NO_STANZA,
    2: "has no valid backup of stanza {stanza}",
    3: "has lost what stanza {stanza} consists of (backup.info is missing)",
    4: "differs from the others: {message}",
    5: "holds backups of another cluster: version or system identifier differ from the other repository's",
    6: "does not have the backup that was asked for",
}
_DAMAGED = ("[FormatError]", "[ChecksumError]", "[CryptoError]")
"""What was read is broken, which is known; every other error says that nothing could be read."""


def seen_of(told: Node, stanza: str, as_of_seconds: float, command: str) -> Seen:
    """The report about one stanza. Raises CheckError for nonsense."""
    entry = _entry(told, stanza)
    if entry is None:
        repository = Repository(problem=f"the repository {_NO_STANZA.format(stanza=stanza)}")
        return Seen(
            SourceName.PGBACKREST, stanza, as_of_seconds, repositories=(repository,), archives=(), command=command
        )
    current = _current(entry)
    backups = tuple(_backup(node, _identifiers(entry)) for node in entry["backup"])
    archives = tuple(_archives(entry, current))
    versions = [node["backrest"]["version"].text for node in entry["backup"]]
    return Seen(
        source=SourceName.PGBACKREST,
        name=stanza,
        as_of_seconds=as_of_seconds,
        system_identifier=next((identifier for _, identifier in current.values() if identifier), None),
        version=versions[-1] if versions else None,
        repositories=tuple(_repositories(entry, stanza)),
        backups=backups,
        archives=archives,
        gaps=tuple(_gaps(backups, archives, current)),
        running=tuple(_running(entry)),
        command=command,
    )


def _entry(told: Node, stanza: str) -> Node | None:
    """The stanza's own entry. `[invalid]` is what an unreadable repository is called when no stanza is asked for."""
    entries = {entry["name"].text: entry for entry in told.elements()}
    return entries.get(stanza) or entries.get("[invalid]")


def _name_of(key: Node) -> str:
    number = key.whole
    return "" if number is None else f"repo{number}"


def _repositories(entry: Node, stanza: str) -> Iterator[Repository]:
    told = list(entry["repo"]) or [entry]
    for node in told:
        name = _name_of(node["key"])
        status = node["status"]
        code, message = status["code"].whole, _said(status["message"].text or "")
        place = f"repository {name}" if len(told) > 1 else "the repository"
        if code in (0, None):
            yield Repository(name)
        elif (known := _PROBLEMS.get(code)) is not None:
            yield Repository(name, problem=f"{place} {known.format(stanza=stanza, message=message)}")
        elif message.startswith(_DAMAGED):
            is_encrypted = node["cipher"].text not in ("none", None)
            how = "is damaged, or encrypted with another passphrase" if is_encrypted else "is damaged"
            yield Repository(name, problem=f"{place} {how}: {message}")
        else:
            yield Repository(name, unreachable=f"{place} cannot be read: {message or f'status {code}'}")


def _said(message: str) -> str:
    """Its first line; where that only says which file it is about, the next one, which says why."""
    first, _, rest = message.strip().partition("\n")
    error, _, _ = first.partition(" ")
    why = rest.partition("\n")[0].partition(": ")[2]
    return clean(f"{error} {why}" if first.endswith(":") and why else first)


def _identifiers(entry: Node) -> dict[tuple[str, int | None], str | None]:
    return {(_name_of(db["repo-key"]), db["id"].whole): db["system-id"].text for db in entry["db"]}


def _current(entry: Node) -> dict[str, tuple[int, str | None]]:
    """For each repository, the number and the system identifier of the cluster it serves now: an upgrade adds one."""
    found: dict[str, tuple[int, str | None]] = {}
    for (repository, number), identifier in _identifiers(entry).items():
        if number is not None and number >= found.get(repository, (0, None))[0]:
            found[repository] = (number, identifier)
    return found


def _backup(node: Node, identifiers: Mapping[tuple[str, int | None], str | None]) -> Backup:
    database = node["database"]
    repository = _name_of(database["repo-key"])
    stored = node["info"]["repository"]
    leans_on = node["prior"].text
    kind = _KINDS.get(node["type"].text or "") or (Kind.INCREMENTAL if leans_on else Kind.FULL)
    return Backup(
        kind=kind,
        label=clean(node["label"].text or "unnamed"),
        repository=repository,
        started_at_seconds=node["timestamp"]["start"].moment_seconds,
        finished_at_seconds=node["timestamp"]["stop"].moment_seconds,
        size_bytes=node["info"]["size"].size_bytes,
        stored_bytes=stored.first("delta", "size").size_bytes,
        damage="pages with wrong checksums" if node["error"].flag else None,
        first_wal=node["archive"]["start"].wal_name,
        last_wal=node["archive"]["stop"].wal_name,
        reference=leans_on,
        system_identifier=identifiers.get((repository, database["id"].whole)),
    )


def _archives(entry: Node, current: Mapping[str, tuple[int, str | None]]) -> Iterator[Archive]:
    """The archived log of the cluster that a repository serves now; that of an earlier one can restore nothing new."""
    for node in entry["archive"]:
        repository = _name_of(node["database"]["repo-key"])
        number, identifier = current.get(repository, (None, None))
        if number is not None and node["database"]["id"].whole not in (number, None):
            continue
        first, last = node["min"].wal_name, node["max"].wal_name
        if last is not None:
            yield Archive(repository, first, last, system_identifier=identifier)


def _gaps(
    backups: tuple[Backup, ...], archives: tuple[Archive, ...], current: Mapping[str, tuple[int, str | None]]
) -> Iterator[Gap]:
    """Log that a backup needs and the archive does not reach. Between its ends pgBackRest tells nothing."""
    for backup in backups:
        own = [
            archive
            for archive in archives
            if (archive.repository, archive.system_identifier) == (backup.repository, backup.system_identifier)
        ]
        needs = f"backup {backup.label} needs the log"
        lacks_all = backup.last_wal is not None and not any(a.repository == backup.repository for a in archives)
        # The log of a cluster before an upgrade is left out above, not missing.
        if lacks_all and backup.system_identifier == current.get(backup.repository, (0, None))[1]:
            yield Gap(f"{needs} up to {backup.last_wal}, none is archived", backup.repository)
        for archive in own:
            if lies_before(archive.last_wal, backup.last_wal):
                yield Gap(f"{needs} up to {backup.last_wal}, archived is up to {archive.last_wal}", backup.repository)
            elif lies_before(backup.first_wal, archive.first_wal):
                yield Gap(f"{needs} from {backup.first_wal}, archived is from {archive.first_wal}", backup.repository)


def _running(entry: Node) -> Iterator[Running]:
    """The lock is the stanza's; to which of several repositories a backup goes is told since version 2.60."""
    lock = entry["status"]["lock"]["backup"]
    names = [_name_of(node["key"]) for node in entry["repo"]]
    where = {_name_of(node["key"]): node for node in lock["repo"]}
    if lock["held"].flag:
        for name, progress in where.items() or [(names[0] if len(names) == 1 else "", lock)]:
            done, total = progress["size-cplt"].size_bytes, progress["size"].size_bytes
            yield Running(repository=name, done_bytes=done, total_bytes=total)
