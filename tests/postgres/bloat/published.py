"""Owns what public bloat estimators were found to say, to print beside our own errors. Runs none of them.

The figures are those published in the study this project started from (one machine, PostgreSQL 15, statistics fresh):
true and estimated share of pages in percent. The queries of ioguix are also those of check_pgactivity, temBoard and
postgres_dba.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.postgres.bloat.lab import Estimate, Truth


@dataclass(frozen=True, slots=True)
class Published:
    """One scenario of the study, and the shape of our laboratory that is like it."""

    scenario: str
    shape: str
    truth: float
    said: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """The scenarios of one kind; `mean` is each estimator's mean error over all scenarios of the study."""

    estimators: tuple[str, ...]
    mean: tuple[float, ...]
    scenarios: tuple[Published, ...]


TABLES = Study(
    ("ioguix", "check_postgres"),
    (8.0, 9.0),
    (
        Published("bigint, bigint", "t two bigints", 0, (0.4, 0.4)),
        Published("int4, int8, int4", "t int4 int8 int4", 0, (15.4, 15.5)),
        Published("eight small columns", "t small columns", 0, (13.4, 13.5)),
        Published("nine columns, one dropped", "t nine columns, one dropped", 0, (10.9, 0.0)),
        Published("rows of 2100 bytes", "t rows of 2100 bytes", 0, (21.4, 21.4)),
        Published("fillfactor 70", "t fillfactor 70", 0, (0.3, 30.2)),
        Published("half NULL, correlated", "t half NULL, correlated", 0, (0.1, 0.0)),
        Published("half the values toasted", "t half the values toasted", 0, (0.0, 4.0)),
        Published("half deleted, vacuum, analyze", "t delete half, vacuum, analyze", 50.0, (50.2, 50.2)),
        Published("half deleted, no analyze", "t delete half, vacuum, no analyze", 50.0, (50.2, 50.2)),
        Published("half deleted, no vacuum", "t fixed width, delete half, no vacuum", 50.0, (0.5, 0.5)),
        Published("widened, no analyze", "t widened, vacuum, no analyze", 18.1, (81.9, 81.9)),
        Published("mixed churn", "t mixed churn", 21.5, (25.2, 25.2)),
        Published("nine tenths deleted in a range", "t range of nine tenths deleted", 89.7, (89.8, 89.8)),
    ),
)

INDEXES = Study(
    ("ioguix", "PgHero", "pg-index-health"),
    (3.9, 12.6, 4.0),
    (
        Published("unique int8", "i unique int8", 0, (0.4, 10.8, 0.4)),
        Published("int4 of 1000 values", "i int4 of 1000 values", 0, (-204, 0, 0)),
        Published("text, tenth NULL, 50 values", "i text, 50 values, tenth NULL", 0, (-340, 0, 0)),
        Published("numeric", "i numeric", 0, (16.8, 25.5, 16.8)),
        Published("two columns, first nullable", "i two columns, first nullable", 0, (-26, 25.3, 2.4)),
        Published("fillfactor 70", "i fillfactor 70", 0, (0.8, 30.7, 0.8)),
        Published("partial", "i partial, unique key", 0, (2.2, 12.2, 2.2)),
        Published("expression", "i expression", 0, (1.6, None, 1.6)),
        Published("random uuid inserts", "i random uuid inserts", 19.0, (19.7, 27.9, 19.8)),
        Published("60 % deleted, vacuum", "i delete 60 %, vacuum", 59.9, (60.1, 64.3, 60.1)),
        Published("uuid, two full updates", "i uuid, two full updates", 56.1, (56.5, 60.9, 56.5)),
        Published("dedup, two full updates", "i dedup, two full updates", 59.7, (-22.4, 0, 0)),
    ),
)


def comparison(study: Study, estimates: Mapping[str, Estimate], truths: Mapping[str, Truth]) -> str:
    """Error in points of each published figure against the truth of its day, and of ours against today's."""
    heads = "".join(f"{name:>16}" for name in study.estimators)
    lines = [f"{'error in points, as published and ours':34}{heads}{'dbwatch':>16}"]
    for one in study.scenarios:
        published = "".join(_cell(None if said is None else said - one.truth) for said in one.said)
        estimate = estimates[one.shape]
        ratio = estimate.bloat_ratio
        ours = f"{estimate.withheld}"[:15] if ratio is None else _cell((ratio - truths[one.shape].ratio) * 100)
        lines.append(f"{one.scenario:34}{published}{ours:>16}")
    means = "".join(f"{mean:>16.1f}" for mean in study.mean)
    lines.append(f"{'mean error, all scenarios':34}{means}{mean_error(list(estimates), estimates, truths):>16.1f}")
    return "\n".join(lines)


def mean_error(names: Sequence[str], estimates: Mapping[str, Estimate], truths: Mapping[str, Truth]) -> float:
    """Over all that are not withheld; where a range is known its lower end counts, as it does for the verdict."""
    errors = [
        abs(ratio - truths[name].ratio) * 100
        for name in names
        if name in truths and (ratio := estimates[name].bloat_ratio) is not None
    ]
    return sum(errors) / len(errors)


def _cell(error: float | None) -> str:
    return f"{'-':>16}" if error is None else f"{error:>+16.1f}"
