"""Owns the rows that say what is wrong with backups, whatever their age: failed, damaged, out of reach, foreign.

A failed attempt counts until a later one succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dbwatch.engines.backup.context import BackupContext, Group, Told, ends_of, groups
from dbwatch.engines.backup.record import Repository, Seen, SourceName, State
from dbwatch.model import RawRow

_MOST_SAID = 3


@dataclass(slots=True)
class _Found:
    """What is wrong in one place."""

    errors: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    damaged: int = 0
    unreachable: bool = False

    def row(self, seen: Seen, name: str, repository: str) -> RawRow:
        said = [*self.errors, *self.complaints]
        more = f" (and {len(said) - _MOST_SAID} more)" if len(said) > _MOST_SAID else ""
        where = " ".join(part for part in (str(seen.source), name, repository) if part)
        return {
            "source": str(seen.source),
            "name": name,
            "repository": repository,
            "errors": float(len(self.errors)),
            "complaints": float(len(self.complaints)),
            "damaged": float(self.damaged),
            "unreachable": self.unreachable,
            "look": seen.command or "",
            "sentence": f"{where}: {'; '.join(said[:_MOST_SAID]) or 'nothing is wrong'}{more}",
        }


def troubles(context: BackupContext) -> Sequence[RawRow]:
    """A row for each repository of each tool, and for each series of files."""
    return [row for told in context.told for row in _of(context, told)]


def _of(context: BackupContext, told: Told) -> Iterator[RawRow]:
    seen = told.seen
    if seen.source in (SourceName.DUMPS, SourceName.MARKER):
        for group in groups(told, context.now_seconds):
            found = _Found()
            _attempts(found, group)
            found.errors += [trouble.text for trouble in seen.troubles if trouble.failed]
            yield found.row(seen, group.name, group.repository)
        return
    named = seen.repositories or tuple(Repository(name) for name in sorted({b.repository for b in seen.backups}))
    for position, repository in enumerate(named or (Repository(),)):
        found = _Found()
        _repository(found, repository)
        for group in groups(told, context.now_seconds):
            if group.repository == repository.name and group.kind == "any":
                _attempts(found, group)
        for trouble in seen.troubles:
            if trouble.repository == repository.name or (not trouble.repository and position == 0):
                (found.errors if trouble.failed else found.complaints).append(trouble.text)
        if position == 0:
            found.errors += _foreign(context, seen)
        yield found.row(seen, seen.name, repository.name)


def _repository(found: _Found, repository: Repository) -> None:
    if repository.problem is not None:
        found.errors.append(repository.problem)
    if repository.unreachable is not None:
        found.unreachable = True
        found.errors.append(repository.unreachable)


def _attempts(found: _Found, group: Group) -> None:
    done = group.done
    last_good = ends_of(done[0]) if done else 0.0
    failed = [b for b in group.backups if b.state is State.FAILED and (not done or ends_of(b) > last_good)]
    found.errors += [f"{backup.label} {backup.error or 'failed'}" for backup in failed]
    damaged = [backup for backup in done if backup.damage is not None]
    found.damaged += len(damaged)
    found.errors += [f"{backup.label} has {backup.damage}" for backup in damaged]
    ahead = [b for b in group.backups if b.state is State.DONE and b not in done and b.finished_at_seconds is not None]
    found.errors += [f"{backup.label} is dated in the future: are the clocks right?" for backup in ahead]


def _foreign(context: BackupContext, seen: Seen) -> Iterator[str]:
    """Backups that are kept in the name of a server and are not of it."""
    found = context.cluster(seen)
    if found is not None and seen.system_identifier is not None and found[0] != seen.system_identifier:
        yield (
            f"these backups are of the cluster {seen.system_identifier}, "
            f"{context.target.backups.server} is {found[0]}: was it upgraded or made anew?"
        )
