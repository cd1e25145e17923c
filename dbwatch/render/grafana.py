"""Owns what a dashboard is made of: rows, panels, queries, variables.

Refuses to know checks, metrics and Grafana's JSON. These few types stand in for a library: the libraries for it are
either abandoned or in alpha, and this is all that is used here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """Panel plugins that every Grafana has."""

    STAT = "stat"
    TIMESERIES = "timeseries"
    TABLE = "table"
    BARGAUGE = "bargauge"
    STATE_TIMELINE = "state-timeline"
    HEATMAP = "heatmap"


class Color(StrEnum):
    GREEN = "green"
    ORANGE = "orange"
    RED = "red"
    PURPLE = "purple"
    GREY = "text"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Step:
    """From `value` on, this colour; None is from the lowest number on."""

    color: Color
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What is shown in place of a number."""

    value: int
    text: str
    color: Color


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression. `min_step_seconds` is how often the value can change; rates look back four times that."""

    expr: str
    legend: str = ""
    instant: bool = False
    min_step_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """Where a click leads; `url` may hold Grafana's variables."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class TableColumn:
    """How a field of a table is shown; `full` draws a bar in the cell that ends there."""

    source: str
    title: str
    unit: str = "short"
    steps: tuple[Step, ...] = ()
    said: tuple[Said, ...] = ()
    link: Link | None = None
    full: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `columns`, `hidden`, `sort_by` and `ascending` are a table's, `shows_names` is a stat's.

    `number` is its id where something outside the page links to it; the others are counted.
    """

    kind: Kind
    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    steps: tuple[Step, ...] = (Step(Color.BLUE),)
    said: tuple[Said, ...] = ()
    width: int = 8
    height: int = 8
    columns: tuple[TableColumn, ...] = ()
    hidden: tuple[str, ...] = ()
    sort_by: str = ""
    ascending: bool = False
    shows_names: bool = False
    links: tuple[Link, ...] = ()
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice among the values of a label: several at once and all by default, or one (`single`)."""

    name: str
    label: str
    query: str
    single: bool = False


@dataclass(frozen=True, slots=True)
class Annotation:
    """Marks on every graph while the expression returns something."""

    name: str
    expr: str
    color: Color
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...]
    annotations: tuple[Annotation, ...] = field(default=())
    tag: str = "dbwatch"
