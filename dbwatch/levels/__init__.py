"""Owns the language of check thresholds: parsing, the verdict about a row, and the same verdict in PromQL.

Refuses to know check files, servers and alert rules. See docs/levels.md for the language itself.
"""

from dbwatch.levels.canonical import canonical
from dbwatch.levels.derived import DerivedError, with_derived
from dbwatch.levels.errors import LevelError, NotExpressible
from dbwatch.levels.evaluation import Earlier, Sample, evaluate, holds
from dbwatch.levels.inspection import Threshold, columns_used, counters_used, first_threshold, forecast_used, thresholds
from dbwatch.levels.nodes import Column, ColumnKind, Comparison, Expression
from dbwatch.levels.parser import parse_level, parse_value
from dbwatch.levels.promql import PromqlContext, to_promql

__all__ = [
    "Column",
    "ColumnKind",
    "Comparison",
    "DerivedError",
    "Earlier",
    "Expression",
    "LevelError",
    "NotExpressible",
    "PromqlContext",
    "Sample",
    "Threshold",
    "canonical",
    "columns_used",
    "counters_used",
    "evaluate",
    "first_threshold",
    "forecast_used",
    "holds",
    "parse_level",
    "parse_value",
    "thresholds",
    "to_promql",
    "with_derived",
]
