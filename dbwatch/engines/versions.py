"""Owns holding a server's version against the table of releases. Judges nothing, asks no server and no network."""

from __future__ import annotations

import datetime

from dbwatch.engines.releases import OLD_TABLE, Missed, Product, missed_by
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

Version = tuple[int, ...]


def outdated_row(product: Product, version: Version, shown: str, today: datetime.date) -> RawRow:
    """The patches a server has missed, and how old that knowledge is. `shown` is the version as the server says it.

    Raises Skipped for a series the table does not have: what it misses is not known.
    """
    if product.series_of(version) is None:
        raise _unknown(product, version)
    missed = missed_by(product, version)
    return {
        "newer_releases": len(missed.releases),
        "table_age_seconds": _seconds(today - product.as_of),
        "overdue_seconds": _seconds(today - missed.since) if missed.since is not None else None,
        "vulnerable_seconds": _seconds(today - missed.security_since) if missed.security_since is not None else None,
        "security_releases": sum(release.security for release in missed.releases),
        "corruption_releases": len(missed.corruptions),
        "repackaged": float(_plain(version) in product.repackaged),
        "version": shown,
        "newest": missed.newest,
        "told": _outdated_text(product, version, shown, missed, today),
    }


def unsupported_row(product: Product, version: Version, shown: str, today: datetime.date) -> RawRow:
    """How long this server's series is still supported. Raises Skipped for one the table does not have."""
    name = product.series_of(version)
    if name is None:
        raise _unknown(product, version)
    series = product.series[name]
    until = series.supported_until or series.left_out
    newest = product.series[product.newest]
    told = f"{product.name} {name} "
    if series.left_out is not None:
        told += f"is not part of the security releases since {series.left_out} and gets no fixes any more"
    elif until is None:
        told += "has no known last day"
    elif until < today:
        told += f"had its last release on {until} and gets no fixes any more"
    else:
        told += f"has its last release on {until}, in {(until - today).days} days"
    if newest.supported_until is not None:
        told += f"; {product.newest} is supported until {newest.supported_until}"
    else:
        told += f"; the newest is {product.newest}"
    return {
        "support_left_seconds": _seconds(until - today) if until is not None else None,
        "table_age_seconds": _seconds(today - product.as_of),
        "repackaged": float(_plain(version) in product.repackaged),
        "version": shown,
        "told": told + _repackaged_text(product, version),
    }


def today() -> datetime.date:
    return datetime.datetime.now(tz=datetime.UTC).date()


def _outdated_text(product: Product, version: Version, shown: str, missed: Missed, today: datetime.date) -> str:
    parts: list[str] = []
    if missed.newest is None:
        parts.append(f"no release newer than {shown} is known as of {product.as_of}")
    else:
        count = len(missed.releases)
        security = sum(release.security for release in missed.releases)
        fixing = ""
        if security:
            fixing = f", {security} of them with security fixes" if count > 1 else ", with security fixes"
        # Between versions that lie years apart the table may have gaps; then it does not count.
        whole = count == int(missed.newest.rpartition(".")[2]) - version[len(version) - 1]
        if whole:
            parts.append(f"{shown} is {count} minor release{'s' * (count > 1)} behind {missed.newest}{fixing}")
        else:
            parts.append(f"{shown} is behind {missed.newest}{', with security fixes since' * bool(security)}")
    parts += missed.corruptions
    if today - product.as_of > OLD_TABLE:
        parts.append(f"dbwatch knows the releases up to {product.as_of} only, update it")
    return "; ".join(parts) + _repackaged_text(product, version)


def _repackaged_text(product: Product, version: Version) -> str:
    where = product.repackaged.get(_plain(version))
    return f"; as a package of {where} it is mended under the same number" if where is not None else ""


def _plain(version: Version) -> str:
    return ".".join(str(part) for part in version)


def _unknown(product: Product, version: Version) -> Skipped:
    shown = _plain(version[:2]) if len(version) > 2 else str(version[0])
    return Skipped(Reason.VERSION, f"{product.name} {shown} is not in the table of releases of {product.as_of}")


def _seconds(span: datetime.timedelta) -> float:
    return span.total_seconds()
