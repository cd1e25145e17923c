"""The bundled dashboards: readable by Grafana's rules, which are checked here since no Grafana is at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbwatch.render.dashboards import OPEN_PANELS
from tests.harness.promtool import check_rules
from tests.render.bundled_files import catalogue, known_metrics, matching
from tests.render.promql_text import metric_names, selectors, without_variables

PATHS = sorted(matching("dashboards/*.json"))
DASHBOARDS = {path: json.loads(matching(path)[path]) for path in PATHS}
GRAFANA_KINDS = {"stat", "timeseries", "table", "bargauge", "state-timeline", "heatmap"}
ONE_AT_A_TIME = {"dbwatch-postgres", "dbwatch-postgres-activity"}
"""Pages about one server: the sum over several would answer no question."""
DAEMON_METRICS = {
    "dbwatch_scheduler_tick_timestamp_seconds",
    "dbwatch_config_last_reload_successful",
    "dbwatch_build_info",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "scrape_samples_scraped",
}


def entries(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in document["panels"]:
        yield entry
        yield from entry.get("panels", [])


def panels(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in entries(document) if entry["type"] != "row"]


def queries(document: dict[str, Any]) -> list[str]:
    found = [target["expr"] for panel in panels(document) for target in panel["targets"]]
    return found + [annotation["expr"] for annotation in document["annotations"]["list"]]


every_dashboard = pytest.mark.parametrize("document", DASHBOARDS.values(), ids=DASHBOARDS.keys())


def test_there_is_one_for_each_engine_and_one_for_all() -> None:
    assert {"dashboards/postgres.json", "dashboards/redis.json", "dashboards/fleet.json"} <= set(PATHS)
    assert len({document["uid"] for document in DASHBOARDS.values()}) == len(PATHS)
    assert len({document["title"] for document in DASHBOARDS.values()}) == len(PATHS)


@every_dashboard
def test_the_page_is_set_up_alike(document: dict[str, Any]) -> None:
    assert document["schemaVersion"] == 39
    assert document["id"] is None
    assert document["uid"].startswith("dbwatch-")
    assert document["tags"] == ["dbwatch"]
    assert document["time"] == {"from": "now-6h", "to": "now"}
    assert document["refresh"] == "1m"
    assert document["graphTooltip"] == 1
    assert document["editable"] is False
    (link,) = document["links"]
    assert link["type"] == "dashboards"
    assert link["tags"] == ["dbwatch"]
    assert link["keepTime"]
    assert link["includeVars"]
    marks = {annotation["name"] for annotation in document["annotations"]["list"]}
    assert {"Critical alerts", "Warning alerts"} <= marks
    if document["uid"].startswith("dbwatch-postgres"):
        assert {"Restarts", "Role changes", "Configuration"} <= marks


@every_dashboard
def test_the_variables_are_declared_and_used(document: dict[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in document["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "target"]
    assert variables["datasource"]["type"] == "datasource"
    for name in ("job", "target"):
        assert variables[name]["refresh"] == 2
        single = name == "target" and document["uid"] in ONE_AT_A_TIME
        assert variables[name]["multi"] is not single
        assert variables[name]["includeAll"] is not single
        assert single or variables[name]["allValue"] == ".+"
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(document)))
    assert {name for name in used if not name.startswith("__")} == set(variables)
    assert not re.findall(r"\[\[\w+\]\]", json.dumps(document))


@every_dashboard
def test_everything_comes_from_the_chosen_source(document: dict[str, Any]) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels(document):
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])
    for part in (*document["annotations"]["list"], *document["templating"]["list"][1:]):
        assert part["datasource"] == chosen


@every_dashboard
def test_panels_are_whole(document: dict[str, Any]) -> None:
    ids = [entry["id"] for entry in entries(document)]
    assert len(set(ids)) == len(ids)
    assert min(ids) >= 1
    for panel in panels(document):
        assert panel["type"] in GRAFANA_KINDS
        assert panel["title"]
        assert len(panel["description"]) > 20
        assert panel["fieldConfig"]["defaults"]["unit"]
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        limits = [step["value"] for step in steps[1:]]
        assert limits == sorted(set(limits))
        if panel["type"] == "stat":
            # `value` shows a number for each target and not which is whose.
            assert panel["options"]["textMode"] in ("auto", "value_and_name")
        references = [target["refId"] for target in panel["targets"]]
        assert references
        assert len(set(references)) == len(references)


@every_dashboard
def test_nothing_lies_on_anything(document: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], int] = {}
    for entry in document["panels"]:
        _take(taken, entry)
    for row in document["panels"]:
        inside: dict[tuple[int, int], int] = {}
        for panel in row.get("panels", []):
            _take(inside, panel)


def _take(taken: dict[tuple[int, int], int], entry: dict[str, Any]) -> None:
    place = entry["gridPos"]
    assert place["x"] + place["w"] <= 24
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            assert taken.setdefault((x, y), entry["id"]) == entry["id"]


@every_dashboard
def test_few_panels_are_open(document: dict[str, Any]) -> None:
    shown = [entry for entry in document["panels"] if entry["type"] != "row"]
    assert 0 < len(shown) <= OPEN_PANELS


@every_dashboard
def test_every_metric_is_exported(document: dict[str, Any]) -> None:
    named = frozenset(name for query in queries(document) for name in metric_names(query))
    assert named <= known_metrics()


@every_dashboard
def test_every_selector_follows_the_variables(document: dict[str, Any]) -> None:
    for query in queries(document):
        for metric, inside in selectors(query):
            assert 'job=~"$job"' in inside, query
            # Alerts about the daemon itself are about no target.
            target = 'target=~"$target|"' if metric == "ALERTS" and 'component="' not in inside else 'target=~"$target"'
            assert metric in DAEMON_METRICS or target in inside, query


@every_dashboard
def test_rates_look_back_as_grafana_says(document: dict[str, Any]) -> None:
    for panel in panels(document):
        for target in panel["targets"]:
            if panel["type"] == "timeseries":
                windows = re.findall(r"(?:rate|increase)\([^[]*\[([^\]]*)\]", target["expr"])
                assert set(windows) <= {"$__rate_interval"}, target["expr"]


@every_dashboard
def test_counters_show_how_fast_they_grow(document: dict[str, Any]) -> None:
    for query in queries(document):
        ranged = re.sub(r"\b(?:rate|increase)\([^[]*\[[^\]]*\]\)", "0", query)
        assert not [name for name in metric_names(ranged) if name.endswith(("_total", "_bucket", "_sum"))]


@every_dashboard
def test_a_table_has_one_line_for_what_its_queries_say_of_a_thing(document: dict[str, Any]) -> None:
    """Grafana merges rows that agree in all that they have: neither time nor metric, which differ by query."""
    for panel in panels(document):
        if panel["type"] != "table":
            continue
        steps = [step["id"] for step in panel["transformations"]]
        assert steps == ["filterFieldsByName", "merge", "organize"]
        assert set(panel["transformations"][0]["options"]["exclude"]["names"]) == {"Time", "__name__"}
        named = [re.search(r"\bby \(([^)]*)\)", target["expr"]) for target in panel["targets"]]
        assert len({by[1] for by in named if by is not None}) <= 1, panel["title"]


@every_dashboard
def test_prometheus_can_parse_every_query(document: dict[str, Any], tmp_path: Path) -> None:
    rules = [
        {"record": f"query:number:{number}", "expr": without_variables(query)}
        for number, query in enumerate(queries(document))
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    valid, said = check_rules(path)
    assert valid, said


def test_links_lead_to_dashboards_and_panels_that_exist() -> None:
    by_uid = {document["uid"]: document for document in DASHBOARDS.values()}
    texts = [*matching("dashboards/*.json").values(), *matching("alerts/*.rules.yaml").values()]
    links = [link for text in texts for link in re.findall(r"/d/([\w-]+)((?:\{\{[^}]*\}\}|[^\s\"'])*)", text)]
    linked = [link for link in links if link[0] != "dbwatch-"]
    assert {uid for uid, _ in linked} <= set(by_uid)
    whole = 0
    for uid, rest in linked:
        if (one := re.search(r"viewPanel=(\d+)", rest)) is None:
            continue
        whole += 1
        assert int(one.group(1)) in {panel["id"] for panel in panels(by_uid[uid])}, (uid, rest)
    assert whole > 100


def test_the_fleet_leads_to_every_engine() -> None:
    engines = {str(check.engine) for check in catalogue()}
    assert {f"dbwatch-{engine}" for engine in engines} <= {document["uid"] for document in DASHBOARDS.values()}


def test_there_is_every_page_of_the_set() -> None:
    """The seven of the design, and one for backups."""
    pages = {"fleet", "postgres", "postgres-activity", "postgres-maintenance", "postgres-replication", "redis", "self"}
    assert {f"dashboards/{page}.json" for page in pages} <= set(PATHS)
