"""Owns what the statement checks of one target share: the account, the texts, and when the server is read again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from dbwatch.catalogue.schema import Use
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.statements.baseline import Baselines
from dbwatch.engines.postgres.statements.ledger import Ledger, Look
from dbwatch.engines.postgres.statements.names import Names
from dbwatch.engines.postgres.statements.reading import Shape, read_shape, read_snapshot
from dbwatch.engines.postgres.statements.snapshot import Identity, Snapshot
from dbwatch.engines.postgres.statements.texts import Texts
from dbwatch.engines.postgres.statements.top import Series
from dbwatch.engines.postgres.statements.wording import Wording
from dbwatch.engines.postgres.sticky import Sticky
from dbwatch.levels import Sample, holds
from dbwatch.template import quoted_literal

_LOOKUP: Final = "SELECT query FROM {view} WHERE queryid = {queryid} LIMIT 1;"
_FRESH_SECONDS: Final = 30.0
"""A reading that another check had made so lately, half a turn, is good enough for a check that has not seen it."""


class Watching:
    """The memory of a target's statements. `looked` is what a probe begins with."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.texts = Texts()
        self.baselines = Baselines()
        self._shape: Shape | None = None
        self._series: dict[str, Series] = {}
        self._rows: dict[str, tuple[float, Mapping[str, Mapping[str, float | None]]]] = {}

    def looked(self, context: ProbeContext) -> tuple[Shape, Look]:
        """What happened since this check looked last; reads the server unless another check just did."""
        consumer = context.check.name
        shape = self._shape
        if shape is None or not self.ledger.is_news_to(consumer, not_before=time.monotonic() - _FRESH_SECONDS):
            shape, _ = self._read(context)
        return shape, self.ledger.look(consumer)

    def latest(self, context: ProbeContext) -> Snapshot:
        """The server's own counters as they stood within half a minute; reads them unless a check just did."""
        known = self.ledger.snapshot
        if known is None or known.read_at < time.monotonic() - _FRESH_SECONDS:
            _, known = self._read(context)
        return known

    def _read(self, context: ProbeContext) -> tuple[Shape, Snapshot]:
        shape = read_shape(context)
        snapshot = read_snapshot(context, shape)
        self.ledger.feed(snapshot)
        self._shape = shape
        return shape, snapshot

    def series(self, consumer: str, keep: int) -> Series:
        """The named statements of a check."""
        return self._series.setdefault(consumer, Series(Sticky(keep)))

    def described(
        self,
        context: ProbeContext,
        shape: Shape,
        names: Names,
        rows: Mapping[Identity, dict[str, object]],
    ) -> list[dict[str, object]]:
        """The rows with `query`, `query_note` and `remedy`: the text of those that the check's levels will find."""
        found = self._found(context, rows)
        said = self.texts.of(context, shape.schema, found, context.check.name) if found else {}
        return [
            {**row, **_words(shape, names, identity, said.get(identity), context.facts.major)}
            for identity, row in rows.items()
        ]

    def _found(self, context: ProbeContext, rows: Mapping[Identity, dict[str, object]]) -> list[Identity]:
        """Those that cross a level, judged as the runner will do it."""
        check, now = context.check, time.monotonic()
        at, before = self._rows.get(check.name, (None, {}))
        kept: dict[str, Mapping[str, float | None]] = {}
        found: list[Identity] = []
        for identity, row in rows.items():
            key = ".".join(str(row[name]) for name in check.key)
            values = {
                name: _scalar(row.get(name), text=column.use is Use.LABEL or column.type == "text")
                for name, column in check.columns.items()
            }
            kept[key] = {name: value for name, value in values.items() if not isinstance(value, str)}
            sample = Sample(values, before.get(key), now - at if at is not None else None)
            if any(holds(level, sample) for level in check.levels.values()):
                found.append(identity)
        self._rows[check.name] = (now, kept)
        return found


def _scalar(value: object, *, text: bool) -> float | str | None:
    if value is None or text:
        return None if value is None else str(value)
    return float(value) if isinstance(value, (int, float)) else None


def _words(shape: Shape, names: Names, identity: Identity, said: Wording | None, major: int) -> dict[str, object]:
    database, role = names.database(identity.dbid), names.role(identity.userid)
    view = "pg_stat_statements" if shape.schema == "public" else f"{shape.schema}.pg_stat_statements"
    lookup = _LOOKUP.format(view=view, queryid=identity.queryid)
    note = said.reason if said is not None else None
    if said is None or said.text is None:
        remedy = f"{lookup}  -- then EXPLAIN it with its parameters, in {_told(database)}"
    elif said.whole and major >= 16:
        remedy = f"EXPLAIN (GENERIC_PLAN) {said.text};  -- in {_told(database)}, with the search_path of {_told(role)}"
    else:
        remedy = f"-- {said.text}  -- EXPLAIN it with its parameters, in {_told(database)}"
    return {"query": said.text if said is not None else None, "query_note": note, "remedy": remedy}


def _told(name: str) -> str:
    """A name for a comment: quoted, on one line."""
    return quoted_literal(name) or "?"
