"""Owns the one way a parsed level is written: single quotes, single spaces, no needless bracket.

Refuses to simplify: `parse(canonical(e)) == e`, units and order kept as the author wrote them.
"""

from __future__ import annotations

from typing import Final

from dbwatch.levels.nodes import (
    AllOf,
    AnyOf,
    Arithmetic,
    Call,
    ColumnRef,
    Compare,
    Expression,
    Flag,
    Membership,
    Negate,
    Node,
    Not,
    Number,
    Operator,
    Text,
    Truthy,
)

_OR: Final = 1
_AND: Final = 2
_NOT: Final = 3
_RELATION: Final = 4
_SUM: Final = 5
_PRODUCT: Final = 6
_UNARY: Final = 7
_ATOM: Final = 8


def canonical(expression: Expression) -> str:
    """The text of an expression, derived columns by name."""
    return _written(expression.root)[0]


def plain_number(value: float) -> str:
    """The shortest text that reads back as this float, in the level language and in PromQL."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _written(node: Node) -> tuple[str, int]:
    match node:
        case AnyOf():
            return " or ".join(_at(operand, _AND) for operand in node.operands), _OR
        case AllOf():
            return " and ".join(_at(operand, _NOT) for operand in node.operands), _AND
        case Not(Membership() as inner):
            return _membership(inner, "not in"), _RELATION
        case Not():
            return f"not {_at(node.operand, _NOT)}", _NOT
        case Compare():
            return f"{_at(node.left, _SUM)} {node.comparison} {_at(node.right, _SUM)}", _RELATION
        case Membership():
            return _membership(node, "in"), _RELATION
        case Arithmetic():
            strength = _SUM if node.operator in {Operator.ADD, Operator.SUBTRACT} else _PRODUCT
            # The right side of an equal operator keeps its bracket: grouping is part of the tree.
            left, right = _at(node.left, strength), _at(node.right, strength + 1)
            return f"{left} {node.operator} {right}", strength
        case Negate():
            return f"-{_at(node.operand, _UNARY)}", _UNARY
        case _:
            return _atom(node), _ATOM


def _membership(node: Membership, word: str) -> str:
    return f"{node.operand.name} {word} ({', '.join(_quoted(choice) for choice in node.choices)})"


def _atom(node: Number | Flag | Text | ColumnRef | Call | Truthy) -> str:
    match node:
        case Number():
            return plain_number(node.magnitude) + (node.unit or "")
        case Flag():
            return "true" if node.value else "false"
        case Text():
            return _quoted(node.value)
        case ColumnRef():
            return node.name
        case Truthy():
            return node.operand.name
        case Call():
            limit = "" if node.limit is None else f", {_written(node.limit)[0]}"
            return f"{node.function}({node.target.name}{limit})"


def _at(node: Node, strength: int) -> str:
    text, own = _written(node)
    return text if own >= strength else f"({text})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
