"""Owns saying a level in English, for pages, alerts and panels. Refuses to judge and to render PromQL."""

from __future__ import annotations

from typing import Final

from dbwatch.levels import Comparison, Expression, canonical
from dbwatch.levels.nodes import (
    AllOf,
    AnyOf,
    Call,
    Compare,
    Flag,
    Function,
    Membership,
    Node,
    Not,
    Truthy,
)

_SAID: Final = {
    Comparison.GREATER: "is above",
    Comparison.GREATER_EQUAL: "is at least",
    Comparison.LESS: "is below",
    Comparison.LESS_EQUAL: "is at most",
    Comparison.EQUAL: "is",
    Comparison.NOT_EQUAL: "is not",
}


def level_in_words(expression: Expression) -> str:
    """`used_ratio is above 95%, and max_connections is at least 20`."""
    return _condition(expression.root, negated=False)


def _condition(node: Node, *, negated: bool) -> str:
    while isinstance(node, Not):
        node, negated = node.operand, not negated
    match node:
        case AllOf() | AnyOf():
            word = _joiner(node, negated=negated)
            return f", {word} ".join(_operand(operand, word, negated=negated) for operand in node.operands)
        case Truthy():
            return f"{node.operand.name} is {'not true' if negated else 'true'}"
        case Membership():
            choices = ", ".join(f"'{choice}'" for choice in node.choices)
            return f"{node.operand.name} is {'none' if negated else 'one'} of {choices}"
        case Compare():
            comparison = node.comparison.negated if negated else node.comparison
            return f"{_value(node.left)} {_SAID[comparison]} {_value(node.right)}"
        case _:
            return _value(node)


def _operand(node: Node, outer: str, *, negated: bool) -> str:
    while isinstance(node, Not):
        node, negated = node.operand, not negated
    text = _condition(node, negated=negated)
    mixed = isinstance(node, AllOf | AnyOf) and _joiner(node, negated=negated) != outer
    return f"({text})" if mixed else text


def _joiner(node: AllOf | AnyOf, *, negated: bool) -> str:
    return "and" if isinstance(node, AllOf) is not negated else "or"


def _value(node: Node) -> str:
    match node:
        case Call(function=Function.RATE):
            return f"{node.target.name} per second"
        case Call(function=Function.DELTA):
            return f"the growth of {node.target.name} between two runs"
        case Call(limit=limit) if limit is not None:
            return f"the time until {node.target.name} reaches {_value(limit)}"
        case Flag():
            return "true" if node.value else "false"
        case _:
            return canonical(Expression(node))


def one_line(text: str) -> str:
    """The text without line breaks, as annotations and table cells need it."""
    return " ".join(text.split())


def sentence(text: str) -> str:
    """The text with a capital and a period."""
    text = one_line(text).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
