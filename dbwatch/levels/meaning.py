"""Owns the types of the language: which pieces fit together, and what to say when they do not.

Refuses to know the grammar (the parser calls in here with pieces it has read) and any value. Every rule is
checked while the tree is built, so a finished Expression needs no second look.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from dbwatch.levels.errors import LevelError
from dbwatch.levels.lexer import Token
from dbwatch.levels.nodes import (
    TEXT_KINDS,
    AllOf,
    AnyOf,
    Arithmetic,
    Call,
    Column,
    ColumnKind,
    ColumnRef,
    Compare,
    Comparison,
    Flag,
    Function,
    Membership,
    Negate,
    Node,
    Not,
    Number,
    Operator,
    Text,
    Truthy,
)
from dbwatch.units import BYTE_UNITS, TIME_UNITS

MAX_DEPTH: Final = 32
MAX_SIZE: Final = 2_000


class Sort(Enum):
    """What a piece stands for; the value reads well in a message."""

    NUMBER = "a number"
    TEXT = "text"
    FLAG = "true or false"
    CONDITION = "a condition"


class Dimension(Enum):
    """Only what a column's name or a literal's unit gives away; anything else is None and fits everything."""

    BYTES = "bytes"
    SECONDS = "a time"
    RATIO = "a ratio"


_SUFFIXES: Final = {"bytes": Dimension.BYTES, "seconds": Dimension.SECONDS, "ratio": Dimension.RATIO}


@dataclass(frozen=True, slots=True)
class Piece:
    """A node with what the rules need to know of it. `constant` is set when no column is mentioned."""

    node: Node
    sort: Sort
    offset: int
    dimension: Dimension | None = None
    constant: float | None = None
    mentions_column: bool = False
    depth: int = 1
    size: int = 1


def grown(piece: Piece, *parts: Piece, flattened: type[AllOf | AnyOf] | None = None) -> Piece:
    """The piece with depth, size and columns of its parts taken up; LevelError beyond the bounds."""
    depths = [part.depth - (flattened is not None and isinstance(part.node, flattened)) for part in parts]
    depth, size = 1 + max(depths), 1 + sum(part.size for part in parts)
    if depth > MAX_DEPTH:
        raise LevelError(f"nested deeper than {MAX_DEPTH} levels, derived columns included", piece.offset)
    if size > MAX_SIZE:
        raise LevelError(f"more than {MAX_SIZE} parts, derived columns included", piece.offset)
    mentions = any(part.mentions_column for part in parts)
    return replace(piece, depth=depth, size=size, mentions_column=mentions)


def literal(token: Token) -> Piece:
    """A number with its unit."""
    number = Number(token.number, token.text or None)
    dimension = None
    if token.text in BYTE_UNITS:
        dimension = Dimension.BYTES
    elif token.text in TIME_UNITS:
        dimension = Dimension.SECONDS
    elif token.text:
        dimension = Dimension.RATIO
    return Piece(number, Sort.NUMBER, token.offset, dimension, constant=number.value)


def text(token: Token) -> Piece:
    """A quoted string."""
    return Piece(Text(token.text), Sort.TEXT, token.offset)


def flag(token: Token) -> Piece:
    """`true` or `false`."""
    return Piece(Flag(token.text == "true"), Sort.FLAG, token.offset)


def find(token: Token, columns: Mapping[str, Column]) -> ColumnRef:
    """The column of this name, any kind."""
    column = columns.get(token.text)
    if column is not None:
        return ColumnRef(token.text, column)
    if token.text in set(Function):
        raise LevelError(f"{token.text} is a function: write {token.text}(column)", token.offset)
    near = difflib.get_close_matches(token.text, columns, n=1)
    known = ", ".join(sorted(columns)[:10]) or "none"
    hint = f"did you mean {near[0]}?" if near else f"the columns are {known}"
    raise LevelError(f"there is no column {token.text!r}: {hint}", token.offset)


def reference(token: Token, columns: Mapping[str, Column]) -> Piece:
    """A column used for its value."""
    ref = find(token, columns)
    if ref.column.kind is ColumnKind.COUNTER:
        hint = f"use rate({ref.name}) for its speed or delta({ref.name}) for its growth"
        raise LevelError(f"{ref.name} is a counter, which only grows: {hint}", token.offset)
    if ref.column.kind in TEXT_KINDS:
        return Piece(ref, Sort.TEXT, token.offset, mentions_column=True)
    derived = ref.column.derived
    piece = Piece(ref, Sort.NUMBER, token.offset, dimension_of(ref.name), mentions_column=True)
    return piece if derived is None else replace(piece, depth=derived.depth, size=derived.size)


def dimension_of(name: str) -> Dimension | None:
    """What the name gives away: `wal_bytes`, `io_seconds_total`, `used_ratio`."""
    return _SUFFIXES.get(name.removesuffix("_total").rpartition("_")[2])


def call(function: Function, at: Token, target: Token, columns: Mapping[str, Column], limit: Piece | None) -> Piece:
    """`rate(counter)`, `delta(counter)` or `eta(gauge, limit)`."""
    ref = find(target, columns)
    own = dimension_of(ref.name)
    base = Piece(ref, Sort.NUMBER, target.offset, own, mentions_column=True)
    if limit is None:
        if ref.column.kind is not ColumnKind.COUNTER:
            raise LevelError(f"{function}() needs a counter, {ref.name} is a {_kind(ref)}", target.offset)
        if function is Function.RATE and own is not Dimension.BYTES:
            own = Dimension.RATIO if own is Dimension.SECONDS else None
        return grown(Piece(Call(function, ref), Sort.NUMBER, at.offset, own), base)
    if ref.column.kind not in {ColumnKind.GAUGE, ColumnKind.DETAIL_NUMBER}:
        raise LevelError(f"eta() needs a gauge, {ref.name} is a {_kind(ref)}", target.offset)
    require(limit, Sort.NUMBER, "the limit of eta()")
    _same_dimension(base, limit, limit.offset, "the limit of eta() on")
    node = Call(function, ref, limit.node)  # type: ignore[arg-type]  # a NUMBER piece is a value node
    return grown(Piece(node, Sort.NUMBER, at.offset, Dimension.SECONDS), base, limit)


def _kind(ref: ColumnRef) -> str:
    return str(ref.column.kind).replace("_", " ")


def require(piece: Piece, sort: Sort, what: str) -> None:
    """LevelError unless the piece is of this sort."""
    if piece.sort is not sort:
        raise LevelError(f"{what} must be {sort.value}, this is {piece.sort.value}", piece.offset)


def negative(operator: Token, operand: Piece) -> Piece:
    """Unary minus."""
    require(operand, Sort.NUMBER, "what follows '-'")
    constant = None if operand.constant is None else -operand.constant
    node = Negate(operand.node)  # type: ignore[arg-type]
    return grown(Piece(node, Sort.NUMBER, operator.offset, operand.dimension, constant), operand)


def arithmetic(operator: Operator, left: Piece, right: Piece, offset: int) -> Piece:
    """Two numbers combined; constants are computed at once, so they cannot surprise later."""
    for side in (left, right):
        require(side, Sort.NUMBER, f"each side of {operator}")
    dimension = _combined_dimension(operator, left, right, offset)
    constant = None
    if left.constant is not None and right.constant is not None:
        constant = combine(operator, left.constant, right.constant)
    if operator is Operator.DIVIDE and right.constant == 0:
        raise LevelError("this divides by zero", right.offset)
    if constant is not None and not math.isfinite(constant):
        raise LevelError("the number is too large", left.offset)
    node = Arithmetic(operator, left.node, right.node)  # type: ignore[arg-type]
    return grown(Piece(node, Sort.NUMBER, left.offset, dimension, constant), left, right)


def combine(operator: Operator, left: float, right: float) -> float | None:
    """The arithmetic itself; None for a division by zero and for what is not a number."""
    match operator:
        case Operator.ADD:
            result = left + right
        case Operator.SUBTRACT:
            result = left - right
        case Operator.MULTIPLY:
            result = left * right
        case Operator.DIVIDE:
            if right == 0:
                return None
            result = left / right
    return None if math.isnan(result) else result


def _combined_dimension(operator: Operator, left: Piece, right: Piece, offset: int) -> Dimension | None:
    if operator in {Operator.ADD, Operator.SUBTRACT}:
        _same_dimension(left, right, offset, "'+' or '-' between")
        return left.dimension or right.dimension
    if operator is Operator.DIVIDE and left.dimension is not None and left.dimension is right.dimension:
        return Dimension.RATIO
    if _scales(right):
        return left.dimension
    if operator is Operator.MULTIPLY and _scales(left):
        return right.dimension
    return None


def _scales(piece: Piece) -> bool:
    plain = piece.dimension is None and piece.constant is not None
    return plain or piece.dimension is Dimension.RATIO


def _same_dimension(left: Piece, right: Piece, offset: int, what: str) -> None:
    if left.dimension and right.dimension and left.dimension is not right.dimension:
        raise LevelError(f"{what} {left.dimension.value} and {right.dimension.value}: units do not fit", offset)


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
        _same_dimension(left, right, offset, "this compares")
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
