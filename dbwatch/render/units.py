"""Owns how a unit is said in Grafana and in an alert's text, and which unit a column of a check has.

Refuses to format numbers itself: `dbwatch.units` does that for people, these two do it for their own pages.
"""

from __future__ import annotations

from enum import StrEnum

from dbwatch.catalogue import Check


class Unit(StrEnum):
    """The units a panel may name, and points in time."""

    BYTES = "bytes"
    SECONDS = "seconds"
    RATIO = "ratio"
    COUNT = "count"
    PER_SECOND = "per_second"
    TRANSACTIONS = "transactions"
    TIMESTAMP = "timestamp"
    BYTES_PER_SECOND = "bytes_per_second"

    @property
    def grafana(self) -> str:
        return {
            "bytes": "bytes",
            "seconds": "s",
            "ratio": "percentunit",
            "count": "short",
            "per_second": "cps",
            "transactions": "short",
            "timestamp": "dateTimeAsIso",
            "bytes_per_second": "Bps",
        }[self.value]

    @property
    def template(self) -> str:
        """The value of an alert in this unit, in Prometheus' template language."""
        return {
            "bytes": "{{ $value | humanize1024 }}B",
            "seconds": "{{ $value | humanizeDuration }}",
            "ratio": "{{ $value | humanizePercentage }}",
            "count": "{{ $value | humanize }}",
            "per_second": "{{ $value | humanize }} per second",
            "transactions": "{{ $value | humanize }} transactions",
            "timestamp": "{{ $value | humanizeTimestamp }}",
            "bytes_per_second": "{{ $value | humanize1024 }}B per second",
        }[self.value]


_SUFFIXES = (
    ("_timestamp_seconds", Unit.TIMESTAMP),
    ("_seconds", Unit.SECONDS),
    ("_bytes", Unit.BYTES),
    ("_ratio", Unit.RATIO),
    ("_transactions", Unit.TRANSACTIONS),
    ("_per_second", Unit.PER_SECOND),
)


def unit_of_name(name: str) -> Unit:
    """The unit that a metric or a column says in its name; names carry their base unit."""
    name = name.removesuffix("_total")
    return next((unit for suffix, unit in _SUFFIXES if name.endswith(suffix)), Unit.COUNT)


def unit_of_column(check: Check, name: str) -> Unit:
    """The unit of a column: what its metric says, then what the panel says of it, then what its own name says."""
    column = check.columns.get(name)
    if column is not None and column.metric is not None:
        said = unit_of_name(column.metric)
        if said is not Unit.COUNT:
            return said
    panel = check.panel
    if panel is not None and panel.column == name and Unit(panel.unit) is not Unit.COUNT:
        return Unit(panel.unit)
    return unit_of_name(name)


def per_second(unit: Unit) -> Unit:
    """The unit of the rate of a counter: seconds a second are a share of the time."""
    rates = {Unit.BYTES: Unit.BYTES_PER_SECOND, Unit.SECONDS: Unit.RATIO}
    return rates.get(unit, Unit.PER_SECOND)
