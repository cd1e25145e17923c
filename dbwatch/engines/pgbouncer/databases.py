"""Owns which databases are paused or disabled, and who is held up by that. Judges nothing."""

from __future__ import annotations

from dbwatch.engines.pgbouncer.console import number
from dbwatch.engines.pgbouncer.pools import all_paused, databases_of, pools_of
from dbwatch.engines.pgbouncer.probe import ProbeContext, Rows
from dbwatch.model import RawRow


def database_paused(context: ProbeContext) -> Rows:
    """A row a database. A PAUSE of everything is one of each; a PgBouncer before 1.19 does not tell of it."""
    stopped = all_paused(context)
    held: dict[str, float] = {}
    for pool in pools_of(context):
        held[pool.database] = held.get(pool.database, 0.0) + pool.waiting
    rows: list[tuple[tuple[float, float, str], RawRow]] = []
    for name, cells in databases_of(context).items():
        own, disabled = bool(number(cells, "paused")), bool(number(cells, "disabled"))
        paused = own or bool(stopped)
        clients = held.get(name, 0.0) if paused else 0.0
        row: RawRow = {
            "database": name,
            "paused": float(paused),
            "disabled": float(disabled),
            "held_clients": clients,
            "state": _state(own=own, stopped=bool(stopped), disabled=disabled),
            "remedy": _remedy(name, own=own, stopped=bool(stopped), disabled=disabled),
        }
        rows.append(((-clients, -float(paused or disabled), name), row))
    return tuple(row for _, row in sorted(rows, key=lambda pair: pair[0]))


def _state(*, own: bool, stopped: bool, disabled: bool) -> str:
    words = [word for word, so in (("disabled", disabled), ("paused", own), ("paused with all others", stopped)) if so]
    return " and ".join(words) or "open"


def _remedy(name: str, *, own: bool, stopped: bool, disabled: bool) -> str:
    """The statements for the console, which takes names in double quotes."""
    quoted = '"' + name.replace('"', '""') + '"'
    statements = []
    if stopped:
        statements.append("RESUME;")
    elif own:
        statements.append(f"RESUME {quoted};")
    if disabled:
        statements.append(f"ENABLE {quoted};")
    return " ".join(statements)
