"""Owns reading the state of a cluster as one of its nodes sees it. Judges nothing.

Every node has a view of its own, learned by gossip: after a partition two of them differ, and both are worth knowing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dbwatch.engines.redis.commands import Fields, fields_of
from dbwatch.engines.redis.fields import flag, number
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.errors import CheckError
from dbwatch.model import RawRow, Reason
from dbwatch.units import count_text

INFO, NODES = "CLUSTER INFO", "CLUSTER NODES"
SLOTS = 16_384

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class _Node:
    """One line of CLUSTER NODES. `primary` is the id a replica follows."""

    id: str
    address: str
    flags: frozenset[str]
    primary: str
    has_slots: bool

    @property
    def is_replica(self) -> bool:
        return "slave" in self.flags

    @property
    def failed(self) -> bool:
        return "fail" in self.flags

    @property
    def suspected(self) -> bool:
        return "fail?" in self.flags

    @property
    def text(self) -> str:
        return f"{'replica' if self.is_replica else 'primary'} {self.address}"


def state(context: ProbeContext) -> Rows:
    """One row: whether the cluster answers, and how many slots nobody or only a doubtful node serves."""
    told = context.info if "cluster_state" in context.info else fields_of(context.ask(INFO))  # Valkey 9 has it in INFO
    row: RawRow = {
        "state_ok": flag(told, "cluster_state", "ok"),
        "slots_assigned": number(told, "cluster_slots_assigned"),
        "slots_suspected": number(told, "cluster_slots_pfail"),
        "slots_failed": number(told, "cluster_slots_fail"),
        "nodes": number(told, "cluster_known_nodes"),
        "primaries": number(told, "cluster_size"),
        "epoch": number(told, "cluster_current_epoch"),
        "told": _state_text(told),
    }
    return (row,)


def _state_text(told: Fields) -> str:
    assigned = number(told, "cluster_slots_assigned")
    if assigned == 0:
        return "this node belongs to no cluster that serves a slot, so it refuses every key"
    parts = []
    if assigned is not None and assigned < SLOTS:
        parts.append(f"no node serves {count_text(SLOTS - assigned)} of {count_text(SLOTS)} slots")
    if failed := number(told, "cluster_slots_fail"):
        parts.append(f"{count_text(failed)} slots belong to nodes that have failed")
    if suspected := number(told, "cluster_slots_pfail"):
        parts.append(f"{count_text(suspected)} slots belong to nodes that do not answer this one")
    if told.get("cluster_state") != "ok":
        if not parts:
            parts.append("this node sees no majority of the primaries, or has only just started")
        parts.append("this node refuses commands on keys (CLUSTERDOWN)")
    return "; ".join(parts) or "every slot is served"


def nodes(context: ProbeContext) -> Rows:
    """One row: the nodes this one takes for failed, or cannot reach itself."""
    found = _nodes(context)
    failed = [node for node in found if node.failed]
    suspected = [node for node in found if node.suspected]
    row: RawRow = {
        "nodes_failed": float(len(failed)),
        "nodes_suspected": float(len(suspected)),
        "nodes": float(len(found)),
        "failing": _named([*failed, *suspected]),
    }
    return (row,)


def coverage(context: ProbeContext) -> Rows:
    """One row: the living primaries with slots, and those of them without any living replica."""
    found = _nodes(context)
    primaries = [node for node in found if node.has_slots and not node.is_replica and not node.failed]
    replicas = [node for node in found if node.is_replica]
    covered = {node.primary for node in replicas if not node.failed}
    bare = [node for node in primaries if node.id not in covered]
    row: RawRow = {
        "primaries": float(len(primaries)),
        "bare_primaries": float(len(bare)),
        "replicas": float(len(replicas)),
        "replicas_failed": float(sum(node.failed for node in replicas)),
        "bare": _named(bare),
    }
    return (row,)


def _nodes(context: ProbeContext) -> tuple[_Node, ...]:
    reply = context.ask(NODES)
    if not isinstance(reply, str):
        raise CheckError(Reason.BAD_RESULT, f"the reply of {NODES} is a {type(reply).__name__}", step="result")
    return tuple(node for node in _read(reply.splitlines()) if "handshake" not in node.flags)


def _read(lines: Iterable[str]) -> Iterator[_Node]:
    for line in lines:
        words = line.split(" ")
        if len(words) < 8:
            continue
        owned = [slot for slot in words[8:] if not slot.startswith("[")]  # in brackets: slots on their way
        address = words[1].partition("@")[0]
        yield _Node(words[0], address, frozenset(words[2].split(",")), words[3], bool(owned))


def _named(found: Iterable[_Node]) -> str | None:
    texts = sorted(node.text for node in found)
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return ", ".join(texts[:_MOST_NAMED]) + more if texts else None
