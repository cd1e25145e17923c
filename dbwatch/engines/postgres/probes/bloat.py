"""Owns handing the bloat estimates over as rows. Knows no estimating: that is `engines.postgres.bloat`.

An estimate that is withheld is a row without numbers; when that is all there is, the check is skipped with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dbwatch.engines.postgres.bloat import (
    BloatFacts,
    IndexBloat,
    TableBloat,
    Withheld,
    estimate_indexes,
    estimate_tables,
    estimate_toast,
)
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.errors import Skipped
from dbwatch.model import Facts, RawRow, Reason


def table_bloat(context: ProbeContext) -> Sequence[RawRow]:
    """One row a table, largest first."""
    estimates = estimate_tables(context.fetch, _facts(context.facts), limit=context.check.limit)
    _refuse_blindness(estimates, "pg_read_all_data, or the extension pg_freespacemap in this database")
    return [_of_table(context, one) for one in estimates]


def toast_bloat(context: ProbeContext) -> Sequence[RawRow]:
    """One row a TOAST relation, by the name of its table, largest first."""
    estimates = estimate_toast(context.fetch, _facts(context.facts), limit=context.check.limit)
    _refuse_blindness(estimates, "the extension pg_freespacemap in this database", counted_by="VACUUM;")
    return [_of_table(context, one) for one in estimates]


def _of_table(context: ProbeContext, one: TableBloat) -> RawRow:
    return {
        "database": context.facts.database,
        "schema": one.schema,
        "relation": one.relation,
        "bloat_bytes": one.bloat_bytes,
        "bloat_ratio": one.bloat_ratio,
        "relation_bytes": one.relation_bytes,
        "dead_bytes": one.dead_bytes,
        **_how(one),
    }


def index_bloat(context: ProbeContext) -> Sequence[RawRow]:
    """One row an index, largest first."""
    estimates = estimate_indexes(context.fetch, _facts(context.facts), limit=context.check.limit)
    _refuse_blindness(estimates, "pg_read_all_data")
    return [
        {
            "database": context.facts.database,
            "schema": one.schema,
            "relation": one.relation,
            "index": one.index,
            "bloat_bytes": one.bloat_bytes,
            "bloat_ratio": one.bloat_ratio,
            "index_bytes": one.index_bytes,
            **_how(one),
        }
        for one in estimates
    ]


def _facts(facts: Facts) -> BloatFacts:
    return BloatFacts(
        server_version=facts.version[0] * 10_000 + facts.version[1],
        extensions={name: extension.schema for name, extension in facts.extensions.items()},
        block_size=int(facts.settings.get("block_size", "8192")),
    )


def _how(one: TableBloat | IndexBloat) -> RawRow:
    return {
        "bloat_ratio_high": one.bloat_ratio_high,
        "method": one.method,
        "confidence": one.confidence,
        "withheld": one.withheld,
    }


def _refuse_blindness(
    estimates: Sequence[TableBloat | IndexBloat], remedy: str, *, counted_by: str = "ANALYZE;"
) -> None:
    """A list of unknowns looks like a clean bill: when nothing at all could be estimated, say so and why.

    But for what is never estimated: a database without B-trees has no B-tree to be blind to.
    """
    reasons = Counter(one.withheld for one in estimates)
    if None in reasons or set(reasons) <= {Withheld.UNSUPPORTED_ACCESS_METHOD}:
        return
    most = reasons.most_common(1)[0][0]
    if most is Withheld.PRIVILEGE:
        text = f"column statistics are hidden from this role, so nothing can be estimated; it needs {remedy}"
        raise Skipped(Reason.PRIVILEGE, text)
    if most is Withheld.EXTENSION:
        text = f"free space cannot be looked at, so nothing can be estimated; it needs {remedy}"
        raise Skipped(Reason.EXTENSION, text, remedy="CREATE EXTENSION pg_freespacemap;")
    if most is Withheld.LOCKED:
        raise Skipped(Reason.LOCK, "nothing could be estimated: access exclusive locks are held or waited for")
    told = ", ".join(f"{count} {str(why).replace('_', ' ')}" for why, count in reasons.most_common())
    raise Skipped(Reason.STATISTICS, f"nothing could be estimated: {told}", remedy=counted_by)
