"""Owns sending bytes compressed to those who ask for it. Knows no route."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_WORTH_IT: Final = 1024
_LEVEL: Final = 5


def accepts_gzip(request: Request) -> bool:
    """Whether the client takes gzip; a weight of 0 is a no."""
    weights: dict[str, str] = {}
    for offer in request.headers.get("accept-encoding", "").split(","):
        coding, _, options = offer.partition(";")
        name, _, weight = options.strip().partition("=")
        weights[coding.strip().lower()] = weight.strip() if name.strip().lower() == "q" else "1"
    chosen = weights.get("gzip", weights.get("*", "0"))
    return chosen.rstrip("0") not in ("", "0.", ".")


def respond(request: Request, body: str, content_type: str, headers: Mapping[str, str]) -> Response:
    """The text as UTF-8, compressed when that is worth it."""
    # A name may hold half a surrogate pair; the page shows a question mark and stays.
    data = body.encode("utf-8", "replace")
    sent = {**headers, "vary": "accept-encoding"}
    if len(data) >= _WORTH_IT and accepts_gzip(request):
        data = gzip.compress(data, _LEVEL, mtime=0)
        sent["content-encoding"] = "gzip"
    return Response(data, media_type=content_type, headers=sent)
