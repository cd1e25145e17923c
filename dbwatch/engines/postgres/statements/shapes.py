"""Owns recognising habits in the wording of a statement: OFFSET, `*`, counting to see whether there is any. Pure.

It reads words, not SQL: a text it does not follow has no habit. It works on what `wording` shows, where values are
`$1` or `?`, so it cannot know how far an OFFSET goes or with what a count is compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from dbwatch.engines.postgres.statements.wording import tokens

_LIST_ENDS: Final = frozenset({"from", "into", "where", "union", "intersect", "except", "order", "limit", ";"})
_SOURCES_END: Final = frozenset(
    {"where", "group", "having", "window", "union", "intersect", "except", "order", "limit", "offset", "fetch", "for"}
)
_BEFORE_SOURCE: Final = frozenset({"from", "join", ","})
_COMPARISONS: Final = frozenset({">", ">=", "=", "<", "<=", "<>", "!="})
_VALUES: Final = frozenset({"parameter", "value"})


class _Word(NamedTuple):
    kind: str
    text: str
    depth: int


def skips_rows(text: str) -> bool:
    """`offset $1` or `offset ($1 - $2) * $3`, wherever it stands."""
    words = _words(text)
    return any(
        word == ("word", "offset", word.depth) and before.text != "." and (after.kind in _VALUES or after.text == "(")
        for before, word, after in zip(words, words[1:], words[2:], strict=False)
    )


def takes_all_columns(text: str) -> bool:
    """`select *` of a table, in the statement's own list; that of a sub-select with named columns is no habit."""
    words = _words(text)
    named = _common_tables(words)
    for at, word in enumerate(words):
        if word.kind == "word" and word.text == "select" and word.depth == 0:
            end = next(
                (
                    position
                    for position in range(at + 1, len(words))
                    if words[position].depth == 0 and words[position].text in _LIST_ENDS
                ),
                len(words),
            )
            if _has_star(words[at + 1 : end]) and any(_tables(words[end:], named)):
                return True
    return False


def counts_to_compare(text: str) -> bool:
    """`(select count(*) from …) > $1`, or the other way round."""
    words = _words(text)
    for at, word in enumerate(words):
        if [w.text for w in words[at : at + 4]] != ["(", "select", "count", "("]:
            continue
        end = next(
            (
                position
                for position in range(at + 1, len(words))
                if words[position].text == ")" and words[position].depth == word.depth
            ),
            None,
        )
        if end is None or any(w.text in ("group", "having") for w in words[at:end]):
            continue
        after, before = words[end + 1 : end + 4], words[max(0, at - 3) : at][::-1]
        if _compares(after) or _compares(before):
            return True
    return False


def _compares(words: Sequence[_Word]) -> bool:
    """A comparison and a value; `>=` are two signs."""
    signs = [word for word in words if word.kind == "other"]
    sign = "".join(word.text for word in signs if word.text in "<>=!")
    rest = words[len(sign) :]
    return (sign in _COMPARISONS or sign[::-1] in _COMPARISONS) and bool(rest) and rest[0].kind in _VALUES


def _words(text: str) -> list[_Word]:
    """Without spaces; a bracket has the depth of what stands outside of it."""
    found: list[_Word] = []
    depth = 0
    for kind, said in tokens(text):
        if kind == "space":
            continue
        if said == ")":
            depth -= 1
        plain = said.lower() if kind == "word" else said
        found.append(_Word("value" if plain == "?" else kind, plain, depth))
        if said == "(":
            depth += 1
    return found


def _common_tables(words: Sequence[_Word]) -> frozenset[str]:
    """The names that WITH gives to sub-selects."""
    if not words or words[0].text != "with":
        return frozenset()
    return frozenset(
        word.text
        for word, after in itertools.pairwise(words)
        if word.depth == 0 and word.kind in ("word", "quoted") and after.text in ("as", "(")
    )


def _has_star(columns: Sequence[_Word]) -> bool:
    """A `*` that stands for columns, not for a product: it ends its item, and begins it or follows a dot."""
    for at, word in enumerate(columns):
        if word.text != "*" or word.depth != 0:
            continue
        before = columns[at - 1].text if at else ","
        after = columns[at + 1].text if at + 1 < len(columns) else ","
        if after == "," and before in (",", ".", "distinct", "all", ")"):
            return True
    return False


def _tables(words: Sequence[_Word], named: frozenset[str]) -> Iterator[str]:
    """The plain tables in FROM at the top: no sub-select, no function, no name of WITH."""
    for at, word in enumerate(words):
        if word.depth == 0 and word.text in _SOURCES_END:
            return
        if word.depth != 0 or word.text not in _BEFORE_SOURCE:
            continue
        rest = list(words[at + 1 :])
        while rest and rest[0].text in ("only", "lateral"):
            rest.pop(0)
        name = rest.pop(0) if rest else None
        if name is None or name.kind not in ("word", "quoted"):
            continue
        qualified = bool(rest) and rest[0].text == "."
        while len(rest) >= 2 and rest[0].text == ".":
            rest = rest[2:]
        if (rest and rest[0].text == "(") or (name.text in named and not qualified):
            continue
        yield name.text
