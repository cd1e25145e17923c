"""Owns the grammar, by recursive descent, and the two doors into it: `parse_level` and `parse_value`.

Refuses to know what fits together; `meaning` and `conditions` decide that as the pieces arrive. Recursion is
counted, so a text of brackets ends in a LevelError and never in a RecursionError.

    or_      and_ { "or" and_ }
    and_     not_ { "and" not_ }
    not_     "not" not_ | relation
    relation sum [ comparison sum | ["not"] "in" "(" text { "," text } ")" ]
    sum      product { ("+" | "-") product }
    product  unary { ("*" | "/") unary }
    unary    "-" unary | primary
    primary  number | text | true | false | name | name "(" … ")" | "(" or_ ")"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dbwatch.levels import conditions, meaning
from dbwatch.levels.canonical import canonical
from dbwatch.levels.errors import LevelError
from dbwatch.levels.lexer import MAX_TEXT, UNITS, Token, TokenKind, tokenize
from dbwatch.levels.meaning import MAX_DEPTH, Piece, Sort
from dbwatch.levels.nodes import AllOf, AnyOf, Column, Comparison, Expression, Function, Operator


def parse_level(text: str, columns: Mapping[str, Column]) -> Expression:
    """The condition a text states about one row; LevelError says what is wrong and where."""
    piece = conditions.condition(_parse(text, columns))
    return _finished(piece)


def parse_value(text: str, columns: Mapping[str, Column]) -> Expression:
    """The number a text computes from one row, as a derived column needs it."""
    piece = _parse(text, columns)
    meaning.require(piece, Sort.NUMBER, "a derived column")
    if not piece.mentions_column:
        raise LevelError("a derived column mentions at least one column", piece.offset)
    return _finished(piece)


def _parse(text: str, columns: Mapping[str, Column]) -> Piece:
    parser = _Parser(tokenize(text), columns)
    piece = parser.or_()
    parser.expect_end()
    return piece


def _finished(piece: Piece) -> Expression:
    expression = Expression(piece.node, piece.depth, piece.size)
    # What we print (docs, JSON) must be readable back, and printing adds spaces.
    if len(canonical(expression)) > MAX_TEXT:
        raise LevelError(f"written out, the text is longer than {MAX_TEXT} characters", piece.offset)
    return expression


class _Parser:
    """One pass over the tokens; every method leaves the position after what it read."""

    def __init__(self, tokens: list[Token], columns: Mapping[str, Column]) -> None:
        self._tokens = tokens
        self._columns = columns
        self._position = 0
        self._depth = 0

    @property
    def _now(self) -> Token:
        return self._tokens[self._position]

    @property
    def _next(self) -> Token:
        return self._tokens[min(self._position + 1, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._now
        if token.kind is not TokenKind.END:
            self._position += 1
        return token

    def _expect(self, symbol: str, what: str) -> Token:
        if not self._now.is_symbol(symbol):
            raise LevelError(f"expected {symbol!r} {what}, found {self._now}", self._now.offset)
        return self._take()

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise LevelError(f"nested deeper than {MAX_DEPTH} levels", self._now.offset)
        yield
        self._depth -= 1

    def expect_end(self) -> None:
        token = self._now
        if token.kind is TokenKind.END:
            return
        previous = self._tokens[self._position - 1]
        if previous.kind is TokenKind.NUMBER and token.kind is TokenKind.NAME and token.text in UNITS:
            raise LevelError("a unit is written without a space, like 100MiB", token.offset)
        raise LevelError(f"expected 'and', 'or' or the end, found {token}", token.offset)

    def or_(self) -> Piece:
        operands = [self._and()]
        while self._now.is_keyword("or"):
            self._take()
            operands.append(self._and())
        return operands[0] if len(operands) == 1 else conditions.joined(AnyOf, operands)

    def _and(self) -> Piece:
        operands = [self._not()]
        while self._now.is_keyword("and"):
            self._take()
            operands.append(self._not())
        return operands[0] if len(operands) == 1 else conditions.joined(AllOf, operands)

    def _not(self) -> Piece:
        if not self._now.is_keyword("not"):
            return self._relation()
        operator = self._take()
        with self._deeper():
            return conditions.negation(operator, self._not())

    def _relation(self) -> Piece:
        left = self._sum()
        if (comparison := self._comparison()) is not None:
            offset = self._take().offset
            piece = conditions.compare(comparison, left, self._sum(), offset)
            if self._comparison() is not None:
                raise LevelError("comparisons are not chained: join two with 'and'", self._now.offset)
            return piece
        if self._now.is_keyword("in"):
            return self._membership(left)
        if self._now.is_keyword("not") and self._next.is_keyword("in"):
            return conditions.negation(self._take(), self._membership(left))
        return left

    def _comparison(self) -> Comparison | None:
        token = self._now
        return Comparison(token.text) if token.is_symbol(*Comparison) else None

    def _membership(self, operand: Piece) -> Piece:
        offset = self._take().offset
        self._expect("(", "after 'in'")
        choices = [self._choice()]
        while self._now.is_symbol(","):
            self._take()
            choices.append(self._choice())
        self._expect(")", "to close the list")
        return conditions.membership(operand, choices, offset)

    def _choice(self) -> Token:
        if self._now.kind is not TokenKind.TEXT:
            raise LevelError(f"the list of 'in' holds quoted texts, found {self._now}", self._now.offset)
        return self._take()

    def _sum(self) -> Piece:
        left = self._product()
        while self._now.is_symbol("+", "-"):
            operator = self._take()
            left = meaning.arithmetic(Operator(operator.text), left, self._product(), operator.offset)
        return left

    def _product(self) -> Piece:
        left = self._unary()
        while self._now.is_symbol("*", "/"):
            operator = self._take()
            left = meaning.arithmetic(Operator(operator.text), left, self._unary(), operator.offset)
        return left

    def _unary(self) -> Piece:
        if not self._now.is_symbol("-"):
            return self._primary()
        operator = self._take()
        with self._deeper():
            return meaning.negative(operator, self._unary())

    def _primary(self) -> Piece:
        token = self._take()
        match token.kind:
            case TokenKind.NUMBER:
                return meaning.literal(token)
            case TokenKind.TEXT:
                return meaning.text(token)
            case TokenKind.NAME:
                if self._now.is_symbol("("):
                    return self._call(token)
                return meaning.reference(token, self._columns)
            case _:
                return self._grouped(token)

    def _grouped(self, token: Token) -> Piece:
        if token.is_keyword("true", "false"):
            return meaning.flag(token)
        if token.is_symbol("("):
            with self._deeper():
                piece = self.or_()
            self._expect(")", "to close the bracket")
            return piece
        raise LevelError(f"expected a column, a number or a text, found {token}", token.offset)

    def _call(self, name: Token) -> Piece:
        if name.text not in set(Function):
            known = ", ".join(Function)
            raise LevelError(f"there is no function {name.text!r}: the functions are {known}", name.offset)
        function = Function(name.text)
        self._expect("(", "after the function")
        target = self._take()
        if target.kind is not TokenKind.NAME:
            raise LevelError(f"{function}() takes a column, found {target}", target.offset)
        limit = None
        if function is Function.ETA:
            self._expect(",", "and the limit: eta(column, limit)")
            with self._deeper():
                limit = self.or_()
        self._expect(")", f"to close {function}()")
        return meaning.call(function, name, target, self._columns, limit)
