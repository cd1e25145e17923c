"""Owns the rows behind the collector of statements: the dearest by total time, as the extension counts them now.

The checks on statements keep their own count, which goes on through resets; an exporter shows what the server shows.
Both have the server read once: reading is what costs.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.statements.names import read_names
from dbwatch.engines.postgres.statements.snapshot import Entry, Identity
from dbwatch.engines.postgres.statements.watching import Watching
from dbwatch.model import RawRow


def exporter_statements(context: ProbeContext) -> Sequence[RawRow]:
    """The statements that took longest in all; their number is the collector's limit."""
    snapshot = context.memory.of(Watching).latest(context)
    statements: dict[Identity, Entry] = {}
    for key, entry in snapshot.entries.items():
        twin = statements.get(key.identity)
        statements[key.identity] = entry if twin is None else twin.plus(entry)
    dearest = sorted(statements, key=lambda identity: -statements[identity].counters.exec_seconds)
    shown = dearest[: context.check.limit + 1]  # one more says that there are more
    names = read_names(context, shown)
    return [
        {
            # As the server names a role that is gone.
            "user": names.roles.get(identity.userid, f"unknown (OID={identity.userid})"),
            "datname": names.database(identity.dbid),
            "queryid": str(identity.queryid),
            "calls": statements[identity].counters.calls,
            "seconds": statements[identity].counters.exec_seconds,
            "rows": statements[identity].counters.rows,
            "block_read_seconds": statements[identity].block_read_seconds,
            "block_write_seconds": statements[identity].block_write_seconds,
        }
        for identity in shown
    ]
