"""Owns fetching the texts of a few statements, seldom, and remembering them. Decides nothing about them.

Asking for one text makes the server read the file of all of them, hundreds of MB where it is full. So a consumer asks
at most once in ten minutes, only for statements that are findings, and gets what it had the time for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.statements.snapshot import Identity
from dbwatch.engines.postgres.statements.wording import Wording, wording

EVERY_SECONDS: Final = 600.0
MOST_ASKED: Final = 100
_MOST_KEPT: Final = 500
_MOST_SECONDS: Final = 3.0
_LATER = Wording(None, "the text was not asked for: that happens at most once in ten minutes")

_SQL = """
-- Privilege: pg_read_all_stats, else the texts of other roles' statements are hidden. Lock: none.
-- The server reads the file of all texts for it.
select
  s.userid::int8 as userid,
  s.dbid::int8 as dbid,
  s.queryid as queryid,
  min(pg_catalog.left(s.query, 20000)) as query
from {schema}.pg_stat_statements(true) as s
where s.queryid in ({queryids})
group by
  s.userid,
  s.dbid,
  s.queryid
"""


class Texts:
    """The texts of one target's statements, as far as they were asked for."""

    def __init__(self) -> None:
        self._known: dict[Identity, Wording] = {}
        self._asked_at: dict[str, float] = {}
        self._unknown = _LATER

    def of(
        self, context: ProbeContext, schema: str, wanted: Iterable[Identity], consumer: str
    ) -> Mapping[Identity, Wording]:
        """What may be shown of each wanted statement."""
        names = list(dict.fromkeys(wanted))[:_MOST_KEPT]
        missing = [identity for identity in names if identity not in self._known][:MOST_ASKED]
        now = time.monotonic()
        asked_at = self._asked_at.get(consumer)
        if missing and (asked_at is None or now - asked_at >= EVERY_SECONDS):
            self._asked_at[consumer] = now
            self._ask(context, schema, missing)
        return {identity: self._known.get(identity, self._unknown) for identity in names}

    def _ask(self, context: ProbeContext, schema: str, missing: list[Identity]) -> None:
        queryids = ", ".join(f"'{queryid}'::int8" for queryid in sorted({identity.queryid for identity in missing}))
        seconds = min(_MOST_SECONDS, context.remaining() / 2)
        sql = _SQL.format(schema=schema, queryids=queryids)
        rows = context.attempt(sql, limit=20 * MOST_ASKED, seconds=seconds)
        if isinstance(rows, Refused):
            self._unknown = Wording(None, f"the server did not give the texts: {rows.message}")
            return
        self._unknown = _LATER
        for identity in missing:
            self._keep(identity, wording(None, context.facts.major))
        for row in rows:
            key = Identity(int(str(row["userid"])), int(str(row["dbid"])), int(str(row["queryid"])))
            if key in self._known:
                query = row["query"]
                self._keep(key, wording(query if isinstance(query, str) else None, context.facts.major))

    def _keep(self, identity: Identity, said: Wording) -> None:
        self._known.pop(identity, None)
        self._known[identity] = said
        while len(self._known) > _MOST_KEPT:
            del self._known[next(iter(self._known))]
