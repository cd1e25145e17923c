"""Owns the types of the language: which values fit together, and what to say when they do not.

Refuses to know the grammar (the parser calls in here with pieces it has read) and any value. Every rule is
checked while the tree is built, so a finished Expression needs no second look. What a value becomes in a condition
is in `conditions`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
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
    Flag,
    Function,
    Negate,
    Node,
    Number,
    Operator,
    Text,
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
    same_dimension(base, limit, limit.offset, "the limit of eta() on")
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
        same_dimension(left, right, offset, "'+' or '-' between")
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


def same_dimension(left: Piece, right: Piece, offset: int, what: str) -> None:
    """LevelError when both have one and it is not the same; `what` is the beginning of the message."""
    if left.dimension and right.dimension and left.dimension is not right.dimension:
        raise LevelError(f"{what} {left.dimension.value} and {right.dimension.value}: units do not fit", offset)
