"""Owns noticing two primaries of one history, by what the targets of this process tell each other. Judges nothing.

Two looks at different times prove nothing: between them the one may have been stopped and the other promoted. A
server does not say since when it is a primary, so it is one since we first saw it as such, and only times that
overlap count.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbwatch.engines.redis.identity import role_of
from dbwatch.engines.redis.peers import NO_ID, Primary
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason, Role

_STALE_SECONDS = 60.0


@dataclass(slots=True)
class _Since:
    """Since when this target has been seen as the primary it is."""

    run_id: str | None = None
    at: float = 0.0


def split_brain(context: ProbeContext) -> tuple[RawRow, ...]:
    """One row of a primary: how many watched servers of its history are primaries at the same time."""
    info, peers, name = context.info, context.peers, context.target.name
    since = context.memory.of(_Since)
    if role_of(info) is not Role.PRIMARY:
        since.run_id = None
        peers.withdraw(name)
        raise Skipped(Reason.ROLE, "runs on a primary, this is a replica")
    run_id = info.get("run_id")
    histories = {info.get("master_replid", NO_ID), info.get("master_replid2", NO_ID)} - {NO_ID}
    if run_id is None or not histories:
        raise Skipped(Reason.PLATFORM, "the server does not tell its replication id, so its history is not known")
    if since.run_id != run_id:
        since.run_id, since.at = run_id, peers.now()
    declared = context.target.expect.role is Role.PRIMARY
    own = Primary(run_id, frozenset(histories), since.at, declared)
    peers.tell(name, own)
    rivals = peers.rivals(name, own, within_seconds=max(_STALE_SECONDS, 3 * context.check.every))
    row: RawRow = {
        "primaries": 1.0 + len({rival.run_id for rival in rivals.values()}),
        "others": ", ".join(rivals) or None,
    }
    return (row,)
