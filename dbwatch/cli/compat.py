"""Owns the `compat` sub-command: fetching an exporter's page once, and saying what we supply of it."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from typing import Final

import typer

from dbwatch import __version__
from dbwatch.bundled import bundled
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.catalogue.families import Exporter
from dbwatch.errors import ConfigError
from dbwatch.exposition.compat import Supplied, Supply, inventory

_SECONDS: Final = 15.0
_LARGEST_BYTES: Final = 64 * 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_HINT: Final = "give the page that Prometheus scrapes, for example http://db:9187/metrics"
_FEW: Final = 8


class _TooLargeError(Exception):
    """More than any exporter sends."""


def run_compat(url: str, output_format: str) -> int:
    """Exit code 0, also when families are left out. Raises ConfigError when there is no page to look at."""
    if output_format not in ("text", "json"):
        raise ConfigError.of("--format", f"{output_format!r} is not a format of compat", hint="text or json")
    shown, headers = _address(url)
    page = _fetched(shown, headers)
    found = inventory(page, load_collectors([bundled("checks")]))
    if found is None:
        known = ", ".join(Exporter)
        raise ConfigError.of(shown, f"has no family of an exporter that dbwatch stands in for ({known})", hint=_HINT)
    exporter, supplied = found
    if output_format == "json":
        typer.echo(json.dumps(_document(shown, exporter, supplied), indent=2))
    else:
        typer.echo("\n".join(_lines(shown, exporter, supplied)))
    return 0


def _address(url: str) -> tuple[str, dict[str, str]]:
    """The URL without its user, and the headers to ask with."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError.of("URL", f"is no URL: {error}", hint=_HINT) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError.of("URL", "does not start with http:// or https:// and a host", hint=_HINT)
    headers = {"accept": "text/plain;version=0.0.4", "user-agent": f"dbwatch/{__version__}"}
    if parts.username is not None:
        user, password = (urllib.parse.unquote(text or "") for text in (parts.username, parts.password))
        headers["authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    place = f"[{host}]" if ":" in host else host
    netloc = f"{place}:{port}" if port is not None else place
    return urllib.parse.urlunsplit((parts.scheme, netloc, parts.path or "/metrics", parts.query, "")), headers


def _fetched(url: str, headers: dict[str, str]) -> str:
    """The page. A redirect is an error: it would take the password elsewhere."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    until = time.monotonic() + _SECONDS
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=_SECONDS) as answer:  # noqa: S310 - http(s)
            return _read(answer, until).decode("utf-8", "replace")
    except TimeoutError:
        raise ConfigError.of(url, f"gave no whole answer within {_SECONDS:g} s") from None
    except urllib.error.HTTPError as error:
        raise ConfigError.of(url, f"answers {error.code} {error.reason}", hint=_HINT) from None
    except (OSError, HTTPException, UnicodeError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, TimeoutError):
            raise ConfigError.of(url, f"gave no answer within {_SECONDS:g} s") from None
        raise ConfigError.of(url, f"cannot be read: {reason or type(error).__name__}") from None
    except _TooLargeError:
        raise ConfigError.of(url, f"sends more than {_LARGEST_BYTES // 1024**2} MiB", hint=_HINT) from None


def _read(answer: HTTPResponse, until: float) -> bytes:
    """The whole body, in time and within bounds."""
    content = bytearray()
    while chunk := answer.read1(_CHUNK_BYTES):
        content += chunk
        if len(content) > _LARGEST_BYTES:
            raise _TooLargeError
        if time.monotonic() > until:
            raise TimeoutError
    return bytes(content)


def _document(url: str, exporter: Exporter, supplied: Sequence[Supplied]) -> dict[str, object]:
    counts = Counter(found.supply for found in supplied)
    return {
        "schema_version": 1,
        "url": url,
        "exporter": str(exporter),
        "path": f"/compat/{exporter}",
        "summary": {str(supply): counts[supply] for supply in Supply},
        "families": [
            {
                "family": found.family,
                "type": found.kind,
                "series": found.series,
                "supplied": str(found.supply),
                _NOTES[found.supply]: found.note,
            }
            for found in supplied
        ],
    }


_NOTES: Final = {Supply.SAME: "collector", Supply.RENAMED: "renamed_to", Supply.DROPPED: "reason"}
_HEADINGS: Final = {
    Supply.SAME: "the same name, on",
    Supply.RENAMED: "another name",
    Supply.DROPPED: "left out",
}


def _lines(url: str, exporter: Exporter, supplied: Sequence[Supplied]) -> Iterator[str]:
    path = f"/compat/{exporter}"
    yield f"{url}   {exporter}, {len(supplied)} families, {sum(found.series for found in supplied)} series"
    counts = Counter(found.supply for found in supplied)
    for supply, heading in _HEADINGS.items():
        if not counts[supply]:
            continue
        yield f"\n{counts[supply]} families: {heading}{f' {path}' if supply is Supply.SAME else ''}"
        chosen = [found for found in supplied if found.supply is supply]
        if supply is Supply.RENAMED:
            yield from (f"  {found.family}  →  {found.note}" for found in chosen)
        else:
            yield from _by_note(chosen)
    told = ", ".join(f"{counts[supply]} {supply}" for supply in Supply)
    yield f"\n{told}"


def _by_note(chosen: Sequence[Supplied]) -> Iterator[str]:
    """Families of one collector, or left out for one reason, together."""
    groups: dict[str, list[str]] = {}
    for found in chosen:
        groups.setdefault(found.note, []).append(found.family)
    for note, names in groups.items():
        yield f"  {note}"
        shown = names if len(names) <= 3 * _FEW else names[:_FEW]
        yield from (f"    {name}" for name in shown)
        if len(shown) < len(names):
            yield f"    … and {len(names) - len(shown)} more"
