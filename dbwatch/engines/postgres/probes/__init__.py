"""Owns the list of PostgreSQL probes: what a check file may name under `probe:` beside `connect`.

A probe is for logic that one query cannot express. It returns rows; columns, levels and words stay in the check file.
"""

from __future__ import annotations

from collections.abc import Mapping

from dbwatch.engines.postgres.probe import Probe
from dbwatch.engines.postgres.probes.backup import backup_stale
from dbwatch.engines.postgres.probes.bloat import index_bloat, table_bloat
from dbwatch.engines.postgres.probes.statements import slow_statement
from dbwatch.engines.postgres.probes.unused import unused_index

PROBES: Mapping[str, Probe] = {
    "backup_stale": backup_stale,
    "index_bloat": index_bloat,
    "slow_statement": slow_statement,
    "table_bloat": table_bloat,
    "unused_index": unused_index,
}
