"""Owns the translation of a level into PromQL that returns a series exactly where the level holds.

Refuses to know checks and alert rules, and to approximate: what PromQL cannot say raises NotExpressible.

Three things make the two agree. A missing series is NULL: arithmetic, filters and `and` drop it as Kleene
logic would. `not` is pushed down to the comparisons first, since `unless` would turn NULL into true. A
divisor is filtered to non-zero, since PromQL divides by zero and Python must not. All series of a check carry
the same labels, so nothing needs `on()`. NaN is the one difference (`!=` holds on it): never export it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dbwatch.levels.canonical import plain_number
from dbwatch.levels.errors import NotExpressible
from dbwatch.levels.nodes import (
    AllOf,
    AnyOf,
    Arithmetic,
    Call,
    ColumnKind,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
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

_OR: Final = 1
_AND: Final = 2
_COMPARE: Final = 3
_SUM: Final = 4
_PRODUCT: Final = 5
_UNARY: Final = 6
_ATOM: Final = 7

_REGEX_SPECIAL: Final = frozenset(r"\.+*?()|[]{}^$")


@dataclass(frozen=True, slots=True)
class PromqlContext:
    """What a check adds to its levels.

    `matchers` goes into every selector as written. `label_columns` maps label columns to exported label
    names; None means each under its own name. `base_metric` is a series that every row of the check has:
    a comparison of labels selects from it, so a row without it cannot fire on its labels.
    """

    window: str = "5m"
    matchers: str = ""
    label_columns: Mapping[str, str] | None = None
    base_metric: str | None = None
    eta_window: str = "6h"


@dataclass(frozen=True, slots=True)
class _Part:
    """PromQL text, how tightly it binds, and whether it is a scalar (no column in it)."""

    text: str
    strength: int
    is_scalar: bool = False

    def at(self, strength: int) -> str:
        return self.text if self.strength >= strength else f"({self.text})"


def to_promql(expression: Expression, context: PromqlContext) -> str:
    """PromQL of a level, usable as an alert expression, or of a value; NotExpressible says why not."""
    if expression.is_condition:
        return _condition(expression.root, context, negated=False).text
    return _value(expression.root, context).text


def measured_first(operands: Sequence[Node]) -> list[Node]:
    """The operands of an `and`, flags and then labels last: the first gives the alert its value."""
    return sorted(operands, key=lambda node: (selects(node), isinstance(node, Compare | Truthy) and not measures(node)))


def measures(node: Node) -> bool:
    """Whether the node holds a number against a limit, where a flag is or is not."""
    return isinstance(node, Compare) and node.comparison not in (Comparison.EQUAL, Comparison.NOT_EQUAL)


def selects(node: Node) -> bool:
    """Whether the node asks for a label, which selects series and leaves them their value."""
    if isinstance(node, Not):
        return selects(node.operand)
    return isinstance(node, Membership) or (isinstance(node, Compare) and Text in (type(node.left), type(node.right)))


def _condition(node: Node, context: PromqlContext, *, negated: bool) -> _Part:
    match node:
        case Not():
            return _condition(node.operand, context, negated=not negated)
        case AllOf() | AnyOf():
            both = isinstance(node, AllOf) is not negated
            operands = measured_first(node.operands) if both else node.operands
            parts = [_condition(operand, context, negated=negated) for operand in operands]
            if both:
                return _Part(" and ".join(part.at(_AND) for part in parts), _AND)
            return _Part(" or ".join(part.at(_OR) for part in parts), _OR)
        case Truthy():
            comparison = Comparison.EQUAL if negated else Comparison.NOT_EQUAL
            return _Part(f"{_value(node.operand, context).at(_SUM)} {comparison} 0", _COMPARE)
        case Membership():
            return _selected(node.operand, node.choices, context, negated=negated)
        case Compare():
            return _compared(node, context, negated=negated)
        case _:
            raise AssertionError(f"{type(node).__name__} is not a condition")


def _compared(node: Compare, context: PromqlContext, *, negated: bool) -> _Part:
    comparison = node.comparison.negated if negated else node.comparison
    for column, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(column, ColumnRef) and isinstance(other, Text):
            return _selected(column, (other.value,), context, negated=comparison is Comparison.NOT_EQUAL)
        if isinstance(column, ColumnRef) and column.column.kind is ColumnKind.LABEL:
            raise NotExpressible(f"PromQL cannot compare the label {column.name} with another column")
    left, right = _value(node.left, context), _value(node.right, context)
    return _Part(f"{left.at(_SUM)} {comparison} {right.at(_SUM)}", _COMPARE)


def _selected(ref: ColumnRef, choices: tuple[str, ...], context: PromqlContext, *, negated: bool) -> _Part:
    if ref.column.kind is not ColumnKind.LABEL:
        raise NotExpressible(f"{ref.name} is text that is not exported as a label")
    label = ref.name if context.label_columns is None else context.label_columns.get(ref.name)
    if label is None:
        raise NotExpressible(f"the label {ref.name} is not exported")
    if context.base_metric is None:
        raise NotExpressible(f"the check exports no series for every row to select {ref.name} from")
    distinct = tuple(dict.fromkeys(choices))
    if len(distinct) == 1:
        matcher = f"{label}{'!=' if negated else '='}{_quoted(distinct[0])}"
    else:
        pattern = "|".join(_regex_escaped(choice) for choice in distinct)
        matcher = f"{label}{'!~' if negated else '=~'}{_quoted(pattern)}"
    # A negative matcher also takes series without the label, but NULL is not unequal to anything.
    return _Part(_selector(context.base_metric, context, matcher, *([f'{label}!=""'] if negated else [])), _ATOM)


def _regex_escaped(text: str) -> str:
    return "".join("\\" + character if character in _REGEX_SPECIAL else character for character in text)


def _quoted(text: str) -> str:
    return '"' + "".join(_quoted_character(character) for character in text) + '"'


def _quoted_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _selector(metric: str, context: PromqlContext, *matchers: str) -> str:
    inside = ",".join(part for part in (context.matchers, *matchers) if part)
    return f"{metric}{{{inside}}}" if inside else metric


def _value(node: Node, context: PromqlContext) -> _Part:
    match node:
        case Number():
            return _Part(plain_number(node.value), _ATOM, is_scalar=True)
        case Flag():
            return _Part("1" if node.value else "0", _ATOM, is_scalar=True)
        case ColumnRef():
            return _column(node, context)
        case Negate():
            operand = _value(node.operand, context)
            return _Part(f"-{operand.at(_ATOM)}", _UNARY, operand.is_scalar)
        case Arithmetic():
            return _arithmetic(node, context)
        case Call():
            return _call(node, context)
        case _:
            raise NotExpressible("PromQL has no text values")


def _column(ref: ColumnRef, context: PromqlContext) -> _Part:
    if ref.column.derived is not None:
        try:
            return _value(ref.column.derived.root, context)
        except NotExpressible:
            if ref.column.metric is None:
                raise
    return _Part(_selector(_metric(ref), context), _ATOM)


def _metric(ref: ColumnRef) -> str:
    if ref.column.metric is None:
        raise NotExpressible(f"{ref.name} is not exported as a metric")
    return ref.column.metric


def _arithmetic(node: Arithmetic, context: PromqlContext) -> _Part:
    left, right = _value(node.left, context), _value(node.right, context)
    strength = _SUM if node.operator in {Operator.ADD, Operator.SUBTRACT} else _PRODUCT
    is_scalar = left.is_scalar and right.is_scalar
    if node.operator is Operator.DIVIDE and not right.is_scalar:
        return _Part(f"{left.at(_PRODUCT)} / ({right.at(_SUM)} != 0)", _PRODUCT)
    # Equal operators keep the bracket on the right: floating point is not associative, and the verdict is.
    return _Part(f"{left.at(strength)} {node.operator} {right.at(strength + 1)}", strength, is_scalar)


def _call(node: Call, context: PromqlContext) -> _Part:
    series = _selector(_metric(node.target), context)
    if node.function is Function.RATE:
        return _Part(f"rate({series}[{context.window}])", _ATOM)
    if node.function is Function.DELTA:
        return _Part(f"increase({series}[{context.window}])", _ATOM)
    if node.limit is None:
        raise AssertionError("eta without a limit")
    limit = _value(node.limit, context)
    ahead = f"({limit.at(_SUM)} - {series} > 0) / (deriv({series}[{context.eta_window}]) > 0)"
    # Past the limit the answer is 0 whatever the slope: a value that stopped beyond it is no better.
    return _Part(f"{ahead} or ({series} >= {limit.at(_SUM)}) * 0", _OR)
