"""Owns which pieces make a condition, and what to say when they do not. No grammar and no value, like `meaning`."""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.levels.errors import LevelError
from dbwatch.levels.lexer import Token
from dbwatch.levels.meaning import Piece, Sort, grown, same_dimension
from dbwatch.levels.nodes import (
    AllOf,
    AnyOf,
    ColumnKind,
    ColumnRef,
    Compare,
    Comparison,
    Membership,
    Node,
    Not,
    Text,
    Truthy,
)


def compare(comparison: Comparison, left: Piece, right: Piece, offset: int) -> Piece:
    """Two numbers, two texts, or a 0/1 column and a flag."""
    for side in (left, right):
        if side.sort is Sort.CONDITION:
            raise LevelError(f"{comparison} compares values, this is a condition: join with 'and'", side.offset)
    if not (left.mentions_column or right.mentions_column):
        raise LevelError("this comparison mentions no column, so it never changes", left.offset)
    sorts = {left.sort, right.sort}
    if Sort.FLAG in sorts:
        _check_flag(comparison, left, right, offset)
    elif sorts == {Sort.TEXT}:
        _check_texts(comparison, left, right, offset)
    elif sorts == {Sort.NUMBER}:
        same_dimension(left, right, offset, "this compares")
    else:
        raise LevelError(f"this compares {left.sort.value} with {right.sort.value}", offset)
    node = Compare(comparison, left.node, right.node)  # type: ignore[arg-type]
    return grown(Piece(node, Sort.CONDITION, left.offset), left, right)


def _check_flag(comparison: Comparison, left: Piece, right: Piece, offset: int) -> None:
    value = right if left.sort is Sort.FLAG else left
    if value.sort is not Sort.NUMBER or not isinstance(value.node, ColumnRef):
        raise LevelError("true and false are compared with a column that is 0 or 1", value.offset)
    if comparison not in {Comparison.EQUAL, Comparison.NOT_EQUAL}:
        raise LevelError("true and false are compared with == or !=", offset)


def _check_texts(comparison: Comparison, left: Piece, right: Piece, offset: int) -> None:
    if comparison not in {Comparison.EQUAL, Comparison.NOT_EQUAL}:
        raise LevelError(f"text has no order: use == or !=, not {comparison}", offset)
    for column, other in ((left, right), (right, left)):
        if isinstance(other.node, Text):
            _check_choice(column.node, other.node.value, other.offset)


def _check_choice(column: Node, choice: str, offset: int) -> None:
    # Prometheus cannot tell an empty label from no label, and no label is NULL.
    if choice == "" and isinstance(column, ColumnRef) and column.column.kind is ColumnKind.LABEL:
        raise LevelError("an empty label is NULL, and no comparison with NULL holds", offset)


def membership(operand: Piece, choices: Sequence[Token], offset: int) -> Piece:
    """`column in ('a', 'b')`."""
    if not isinstance(operand.node, ColumnRef) or operand.sort is not Sort.TEXT:
        raise LevelError(f"'in' is for a text column, this is {operand.sort.value}", operand.offset)
    for choice in choices:
        _check_choice(operand.node, choice.text, choice.offset)
    node = Membership(operand.node, tuple(choice.text for choice in choices))
    return grown(Piece(node, Sort.CONDITION, offset), operand)


def condition(piece: Piece) -> Piece:
    """The piece as a condition: a bare 0/1 column becomes one, anything else must be one."""
    match piece.sort, piece.node:
        case Sort.CONDITION, _:
            return piece
        case Sort.NUMBER, ColumnRef() as ref:
            return grown(Piece(Truthy(ref), Sort.CONDITION, piece.offset), piece)
        case Sort.FLAG, _:
            raise LevelError("true and false are compared with a column, like receiver_up == true", piece.offset)
        case _:
            raise LevelError(f"a condition is needed, this is {piece.sort.value}: compare it", piece.offset)


def negation(operator: Token, operand: Piece) -> Piece:
    """`not`."""
    inner = condition(operand)
    return grown(Piece(Not(inner.node), Sort.CONDITION, operator.offset), inner)  # type: ignore[arg-type]


def joined(join: type[AllOf | AnyOf], operands: Sequence[Piece]) -> Piece:
    """`and`/`or` over two or more conditions, flattened: grouping does not change what they mean."""
    pieces = [condition(operand) for operand in operands]
    nodes: list[Node] = []
    for piece in pieces:
        nodes.extend(piece.node.operands if isinstance(piece.node, join) else (piece.node,))
    node = join(tuple(nodes))  # type: ignore[arg-type]
    return grown(Piece(node, Sort.CONDITION, pieces[0].offset), *pieces, flattened=join)
