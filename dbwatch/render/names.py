"""Owns what generated things are called: alerts, files, pages, dashboards, and finding a check by any of it.

Refuses to know what stands in them.
"""

from __future__ import annotations

from typing import Final

from dbwatch import __version__
from dbwatch.catalogue import Catalogue, Check
from dbwatch.model import Engine

RUNBOOK_BASE: Final = f"https://github.com/dbwatch/dbwatch/blob/v{__version__}/docs/checks"
"""Versioned, so that an old installation leads to the text that fits it."""

ALERT_NAME_LENGTH: Final = 40
_PREFIXES: Final = {
    Engine.POSTGRES: "Postgres",
    Engine.REDIS: "Redis",
    Engine.BACKUP: "Backup",
    Engine.HOST: "Host",
    Engine.PGBOUNCER: "PgBouncer",
}
_OWN_WORDS: Final = {
    Engine.POSTGRES: frozenset({"postgres", "postgresql", "pg"}),
    Engine.REDIS: frozenset({"redis"}),
    Engine.BACKUP: frozenset({"backup"}),
    Engine.HOST: frozenset({"host"}),
    Engine.PGBOUNCER: frozenset({"pgbouncer"}),
}


def has_alert(check: Check) -> bool:
    """Whether the rules hold an alert of this check's own."""
    return bool(check.levels) and not check.alert.off


def alert_name(check: Check) -> str:
    """`PostgresIdleInTransaction`: the engine and the check, one name for warning and critical.

    A name of the check's own gets the engine, too: `ServerUnreachable` is a bad state of more than one.
    """
    prefix = _PREFIXES[check.engine]
    if check.alert.name is not None:
        return prefix + check.alert.name.removeprefix(prefix)
    words = check.name.split("_")
    if len(words) > 1 and words[0] in _OWN_WORDS[check.engine]:
        words = words[1:]
    name = prefix
    for word in words:
        if len(name) + len(word) > ALERT_NAME_LENGTH:
            break
        name += word.capitalize()
    return name


def find_checks(catalogue: Catalogue, name: str) -> tuple[Check, ...]:
    """The checks called `name`, `engine/name` or, whatever their number, by their alert."""
    return tuple(
        check
        for check in catalogue
        if name in (check.name, f"{check.engine}/{check.name}") or name.lower() == alert_name(check).lower()
    )


def find_check(catalogue: Catalogue, name_or_alert: str) -> Check | None:
    """The first of `find_checks`; `engine/name` tells two engines' checks of one name apart."""
    return next(iter(find_checks(catalogue, name_or_alert)), None)


def page_path(check: Check) -> str:
    return f"docs/checks/{check.engine}/{check.name}.md"
