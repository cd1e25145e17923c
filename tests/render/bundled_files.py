"""The bundled catalogue and what it renders to, made once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from dbwatch.bundled import bundled
from dbwatch.catalogue import Catalogue, load_catalogue
from dbwatch.render import render_all
from dbwatch.render.self_metrics import SELF_METRICS

ROOT = Path(__file__).resolve().parents[2]

PROMETHEUS_METRICS = frozenset(
    {"up", "ALERTS", "scrape_samples_scraped", "process_resident_memory_bytes", "process_cpu_seconds_total"}
)
"""Metrics that Prometheus and its client library make, not we."""


@cache
def catalogue() -> Catalogue:
    return load_catalogue([bundled("checks")])


@cache
def rendered() -> Mapping[str, str]:
    return render_all(catalogue())


def matching(pattern: str) -> dict[str, str]:
    return {path: text for path, text in rendered().items() if Path(path).match(pattern)}


@cache
def known_metrics() -> frozenset[str]:
    """Every metric a rule or panel may name: the checks', the daemon's, Prometheus' own."""
    names = {column.metric for check in catalogue() for column in check.exported.values() if column.metric}
    for metric in SELF_METRICS:
        parts = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        names |= {metric.name + part for part in parts}
    return frozenset(names) | PROMETHEUS_METRICS
