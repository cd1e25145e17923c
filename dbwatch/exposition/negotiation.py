"""Owns which of the two formats a client gets. Pure; knows HTTP's Accept header and nothing else of HTTP.

The library's own negotiation ignores the weights a client gives and echoes any version it asks for.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbwatch.exposition.block import Format

_TYPES = {
    "application/openmetrics-text": Format.OPENMETRICS,
    "text/plain": Format.TEXT,
    "text/*": Format.TEXT,
    "*/*": Format.TEXT,
}
_OPENMETRICS_VERSIONS = ("", "0.0.1", "1.0.0")


def negotiate(accept: str) -> Format:
    """The format with the highest weight; the text format when a client has no opinion or asks for neither."""
    weights = dict.fromkeys(Format, 0.0)
    for form, weight in _offers(accept):
        weights[form] = max(weights[form], weight)
    return Format.OPENMETRICS if weights[Format.OPENMETRICS] > weights[Format.TEXT] else Format.TEXT


def _offers(accept: str) -> Iterator[tuple[Format, float]]:
    for offer in accept.split(","):
        kind, *rest = (piece.strip().lower() for piece in offer.split(";"))
        options = {name: value.strip('"') for name, _, value in (piece.partition("=") for piece in rest)}
        form = _TYPES.get(kind)
        if form is None or (form is Format.OPENMETRICS and options.get("version", "") not in _OPENMETRICS_VERSIONS):
            continue
        yield form, _weight(options.get("q", "1"))


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
