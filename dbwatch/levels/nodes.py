"""Owns the shape of a parsed level: columns, nodes, and walking over them.

Refuses to know any text, any value and any PromQL. A column reference carries its column, so a tree is
complete by itself, and two trees are equal exactly when they mean the same words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from dbwatch.units import BYTE_UNITS, TIME_UNITS


class ColumnKind(StrEnum):
    """What a column of a check is for."""

    LABEL = "label"
    GAUGE = "gauge"
    COUNTER = "counter"
    DETAIL_NUMBER = "detail_number"
    DETAIL_TEXT = "detail_text"
    DERIVED = "derived"


TEXT_KINDS = frozenset({ColumnKind.LABEL, ColumnKind.DETAIL_TEXT})


class Comparison(StrEnum):
    """How two sides are compared."""

    GREATER = ">"
    GREATER_EQUAL = ">="
    LESS = "<"
    LESS_EQUAL = "<="
    EQUAL = "=="
    NOT_EQUAL = "!="

    @property
    def negated(self) -> Comparison:
        return _NEGATED[self]

    @property
    def mirrored(self) -> Comparison:
        """The same statement with the sides swapped."""
        return _MIRRORED.get(self, self)


_NEGATED = {
    Comparison.GREATER: Comparison.LESS_EQUAL,
    Comparison.GREATER_EQUAL: Comparison.LESS,
    Comparison.LESS: Comparison.GREATER_EQUAL,
    Comparison.LESS_EQUAL: Comparison.GREATER,
    Comparison.EQUAL: Comparison.NOT_EQUAL,
    Comparison.NOT_EQUAL: Comparison.EQUAL,
}
_MIRRORED = {
    Comparison.GREATER: Comparison.LESS,
    Comparison.GREATER_EQUAL: Comparison.LESS_EQUAL,
    Comparison.LESS: Comparison.GREATER,
    Comparison.LESS_EQUAL: Comparison.GREATER_EQUAL,
}


class Operator(StrEnum):
    """Arithmetic over two numbers."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"


class Function(StrEnum):
    """What looks at two samples instead of one."""

    RATE = "rate"
    DELTA = "delta"
    ETA = "eta"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a check. `metric` is the exported name, if any; `derived` belongs to that kind only."""

    kind: ColumnKind
    metric: str | None = None
    derived: Expression | None = None

    def __post_init__(self) -> None:
        if (self.kind is ColumnKind.DERIVED) != (self.derived is not None):
            raise ValueError("a derived column has an expression, and no other column has one")
        if self.derived is not None and self.derived.is_condition:
            raise ValueError("a derived column is a number: parse its expression with parse_value")


@dataclass(frozen=True, slots=True)
class Number:
    """A literal as written: `100MiB` is 100 and `MiB`. Never negative; see Negate."""

    magnitude: float
    unit: str | None = None

    @property
    def value(self) -> float:
        """The number in base units: bytes, seconds or a ratio."""
        if self.unit is None:
            return self.magnitude
        if self.unit == "%":
            return self.magnitude / 100  # not times 0.01: 90% must be the float a person writes as 0.9
        return self.magnitude * (BYTE_UNITS.get(self.unit) or TIME_UNITS[self.unit])


@dataclass(frozen=True, slots=True)
class Flag:
    """`true` or `false`, compared with a 0/1 column."""

    value: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted string."""

    value: str


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A column by its name."""

    name: str
    column: Column


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    operand: ValueNode


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers combined."""

    operator: Operator
    left: ValueNode
    right: ValueNode


@dataclass(frozen=True, slots=True)
class Call:
    """`rate`, `delta` or `eta` of one column; only `eta` has a limit."""

    function: Function
    target: ColumnRef
    limit: ValueNode | None = None


@dataclass(frozen=True, slots=True)
class Truthy:
    """A bare 0/1 column used as a condition: it is not 0."""

    operand: ColumnRef


@dataclass(frozen=True, slots=True)
class Compare:
    """Two numbers or two texts compared."""

    comparison: Comparison
    left: ValueNode
    right: ValueNode


@dataclass(frozen=True, slots=True)
class Membership:
    """A text column is one of the choices."""

    operand: ColumnRef
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Negation; NULL stays NULL."""

    operand: ConditionNode


@dataclass(frozen=True, slots=True)
class AllOf:
    """`and`, flat: no operand is itself an AllOf."""

    operands: tuple[ConditionNode, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """`or`, flat: no operand is itself an AnyOf."""

    operands: tuple[ConditionNode, ...]


ValueNode: TypeAlias = Number | Flag | Text | ColumnRef | Negate | Arithmetic | Call
ConditionNode: TypeAlias = Truthy | Compare | Membership | Not | AllOf | AnyOf
Node: TypeAlias = ValueNode | ConditionNode


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed text. `depth` and `size` count derived columns as if written out, so both are bounded."""

    root: Node
    depth: int = field(default=1, compare=False)
    size: int = field(default=1, compare=False)

    @property
    def is_condition(self) -> bool:
        return isinstance(self.root, Truthy | Compare | Membership | Not | AllOf | AnyOf)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly under this one, left to right; a derived column is a leaf here."""
    match node:
        case Negate() | Not() | Truthy() | Membership():
            return (node.operand,)
        case Arithmetic() | Compare():
            return (node.left, node.right)
        case Call():
            return (node.target,) if node.limit is None else (node.target, node.limit)
        case AllOf() | AnyOf():
            return node.operands
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """This node and all under it, left to right, parents first; does not enter derived columns."""
    yield node
    for child in children(node):
        yield from walk(child)


def extent(node: Node) -> tuple[int, int]:
    """Depth and node count with derived columns written out."""
    if isinstance(node, ColumnRef) and node.column.derived is not None:
        return node.column.derived.depth, node.column.derived.size
    parts = [extent(child) for child in children(node)]
    return 1 + max((depth for depth, _ in parts), default=0), 1 + sum(size for _, size in parts)
