"""Owns docs/performance.md: `python -m tests.bench.page` writes it from what the bench noted in build/bench."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.notes import read

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
_INTRO = """\
# What the monitor costs

Written by `make bench` (`tests/bench`) from one run on one machine: {machine}. Every table compares programs that ran
side by side on the same servers, turn by turn, so what else the machine did hit both; trust the ratios more than the
numbers. The exporters are those of Debian's newest suite, at their defaults, and with every collector turned on that
our compatibility page supplies ("full").
"""
_SCRAPE = """
A scrape is what Prometheus does: gzip, a connection that is kept while the server keeps it, everything changed since
the one before. Its processor time is that of the answering process during the scrape. dbwatch reads nothing then: its
checks run on their own schedule, and their processor time is in "Light" below. The compatibility page holds the {limit}
largest tables, the exporter every table: with more tables than that the exporter shows more, and its page is larger.
"""


def main() -> None:
    """Write the page."""
    exporters, light, fleet = read("exporters"), read("light"), read("fleet")
    parts = [_INTRO.format(machine=_machine())]
    parts += [_contest(name, noted) for name, noted in exporters.items()]
    parts.append(_light(light))
    parts += [_fleet(name, noted) for name, noted in fleet.items()]
    parts.append(_profiles(read("profiles")))
    parts += [_churn(noted) for noted in read("churn").values()]
    parts += [_rendering(noted) for noted in read("rendering").values()]
    PAGE.write_text("\n".join(part for part in parts if part), encoding="utf-8")


def _contest(name: str, noted: Mapping[str, Any]) -> str:
    kind, _, size = name.partition(" ")
    what = f"PostgreSQL with {int(size):,} tables" if kind == "postgres" else f"Redis with {int(size):,} keys"
    pages = noted["pages"]
    base = pages[1] if kind == "postgres" else pages[0]
    rows = [
        (
            page["name"],
            f"{page['series']:,}",
            f"{page['wire_bytes'] / 1024:,.0f} KiB",
            _ms(page["paced_p50_seconds"]),
            _ms(page["paced_p99_seconds"]),
            _ratio(base["paced_p50_seconds"], page["paced_p50_seconds"]),
            _ms(page["cpu_seconds"]),
            _ratio(base["cpu_seconds"], page["cpu_seconds"]),
            f"{page['resident_bytes'] / 2**20:.0f} MiB",
        )
        for page in pages
    ]
    head = ("page", "series", "gzip", "p50", "p99", "faster", "CPU a scrape", "less", "resident")
    text = f"## {what}\n{_SCRAPE.format(limit=200) if kind == 'postgres' else ''}\n{_table(head, rows)}"
    return text + (_server(noted["server"]) if "server" in noted else "")


def _server(cost: Mapping[str, Any]) -> str:
    hour = "seconds_an_hour"
    theirs = cost[f"full_{hour}"]
    rows = [
        (f"postgres_exporter{more}", *_cost_cells(cost, key), _ratio(theirs, cost[f"{key}_{hour}"]))
        for key, more in (("plain", ""), ("full", ", all we supply"))
    ]
    rows.append(("dbwatch, default profile", *_cost_cells(cost, "ours"), _ratio(theirs, cost[f"ours_{hour}"])))
    head = ("who asks", "database time an hour", "statements an hour", "slowest statement", "temp blocks", "less")
    return (
        "\nWhat it costs the server, by `pg_stat_statements` (planning and executing): the exporter scraped every 15 s,"
        f"\ndbwatch at its default intervals ({cost['checks_seconds_an_hour']:.1f} s of it by the checks, "
        f"{cost['collectors_seconds_an_hour']:.1f} s by the\ncompatibility collectors, which run while "
        f"somebody scrapes their page).\n\n{_table(head, rows)}"
    )


def _cost_cells(cost: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return (
        f"{cost[f'{key}_seconds_an_hour']:,.1f} s",
        f"{cost[f'{key}_statements_an_hour']:,.0f}",
        _ms(cost[f"{key}_slowest_seconds"]),
        f"{cost[f'{key}_temp_blocks']}",
    )


def _light(noted: Mapping[str, Mapping[str, Any]]) -> str:
    rows: list[tuple[str, ...]] = []
    if daemon := noted.get("daemon"):
        rows += [
            ("resident memory, one PostgreSQL and one Redis", f"{daemon['resident_bytes'] / 2**20:.0f} MiB"),
            ("processor, both watched at default intervals and scraped", f"{daemon['cpu_share']:.2%} of a core"),
            ("series of the idle PostgreSQL", f"{daemon['series_postgres']:,}"),
            ("series of the idle Redis", f"{daemon['series_redis']:,}"),
            ("memory of our session in the server", f"{daemon['backend_bytes'] / 2**20:.0f} MiB, most of it shared"),
        ]
    if start := noted.get("start"):
        rows += [
            (what, f"{_ms(start[name][0])}, of it {_ms(start[name][1])} of processor time")
            for what, name in (
                ("`dbwatch --help`", "help"),
                ("`dbwatch check --sample 0` of a small PostgreSQL", "check"),
                ("a bare interpreter, for comparison", "bare_interpreter"),
            )
        ]
    if size := noted.get("size"):
        largest = sorted(size["largest"], key=lambda name: -size["largest"][name])[:3]
        said = ", ".join(f"{name} {size['largest'][name] / 2**20:.0f}" for name in largest)
        rows.append(("dbwatch and what it needs, installed", f"{size['bytes'] / 2**20:.0f} MiB ({said})"))
    if image := noted.get("image"):
        rows.append(("the container image beyond its base, with bytecode", f"{image['added_bytes'] / 2**20:.0f} MiB"))
    if pgbench := noted.get("pgbench"):
        kept = f"{pgbench['kept']:.1%} ± {pgbench['error']:.1%} (standard error)"
        rows.append(("pgbench while the daemon works, of pgbench while it is held", kept))
        rows.append(("processor time of daemon and session meanwhile, of all cores", f"{pgbench['cpu_share']:.2%}"))
    return f"## Light\n\n{_table(('what', 'measured'), rows)}" if rows else ""


def _fleet(name: str, noted: Mapping[str, Any]) -> str:
    rows = [
        (
            what,
            f"{seen['runs_a_second']:.0f}",
            _ms(seen["late_p50_seconds"]),
            _ms(seen["late_p99_seconds"]),
            f"{seen['missed']:.0f}",
            f"{seen['cpu_share']:.0%}",
        )
        for what, seen in (
            ("all well", noted),
            ("the others while a quarter is frozen", noted["frozen"]),
            ("every compatibility page scraped too", noted["compat"]),
        )
    ]
    return (
        f"## {name} in one daemon on one core\n\n"
        f"Each target costs {noted['bytes_a_target'] / 2**20:.2f} MiB. A page of {noted['page_series']:,} series is "
        f"{noted['page_bytes'] / 2**20:.1f} MiB. The first pass took {noted['first_pass_seconds']:.0f} s.\n\n"
        + _table(("", "runs a second", "late, p50", "late, p99", "missed", "processor"), rows)
    )


def _profiles(noted: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (
            profile,
            *(
                f"{numbers[name]:,} ({numbers[f'{name}_about_checks']:,})"
                for name in ("postgres", "postgres-2", "redis")
            ),
        )
        for profile, numbers in noted.items()
    ]
    head = ("profile", "an idle PostgreSQL", "PostgreSQL with 1,000 tables, all of them faulty", "an idle Redis")
    text = "Series of a target, and in brackets those of them that are about the checks themselves.\n\n"
    return f"## Profiles\n\n{text}{_table(head, rows)}" if rows else ""


def _churn(noted: Mapping[str, Any]) -> str:
    rows = [
        ("the 50 busiest of the last five minutes", f"{noted['by_the_last_minutes']:,.0f}"),
        ("the first by size, by writes and by reads", f"{noted['by_the_totals']:,.0f}"),
        ("ours: the same orders, and who is in stays for an hour beyond twice the places", f"{noted['ours']:,.0f}"),
    ]
    return (
        "## Series of single tables\n\n`profile: deep` has series for the tables and indexes that matter most. In a "
        "made-up day of 2,000 tables, looked at\nevery five minutes, so many rows begin (each is some 15 series):\n\n"
        + _table(("which tables have series", "rows that begin in a day"), rows)
    )


def _rendering(noted: Mapping[str, Any]) -> str:
    rows = [
        (
            f"rendering {noted['check_series']:,} series, the most of one check, when it has run",
            _ms(noted["check_seconds"]),
        ),
        (f"joining a page of {noted['page_series']:,} series, when it is asked for", _ms(noted["join_seconds"])),
        (
            "the longest that another thread waited while both went on, whatever else the machine did",
            _ms(noted["longest_wait_seconds"]),
        ),
        ("the longest it waited while nothing went on", _ms(noted["idle_wait_seconds"])),
    ]
    return f"## A large page\n\n{_table(('what', 'measured'), rows)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def _ratio(theirs: float, ours: float) -> str:
    return f"{theirs / ours:,.1f} ×" if ours else "–"


def _machine() -> str:
    busy = f"load average {os.getloadavg()[2]:.0f} at the end"
    return (
        f"{os.cpu_count()} cores, {busy}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
