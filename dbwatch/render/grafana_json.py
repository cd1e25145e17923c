"""Owns the JSON of a Grafana dashboard: classic, schema 39, which Grafana 10.3 and everything later reads.

Refuses to know what is on it. Places panels so that nothing overlaps and numbers them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from dbwatch.render.grafana import (
    Annotation,
    Dashboard,
    Kind,
    Panel,
    Query,
    Row,
    Said,
    Step,
    TableColumn,
    Variable,
)

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"

COLUMNS: Final = 24
_SCHEMA_VERSION: Final = 39
_FORMATS: Final = {Kind.TABLE: "table", Kind.HEATMAP: "heatmap"}
_DATASOURCE: Final[Mapping[str, Json]] = {"type": "prometheus", "uid": "${datasource}"}


def dashboard_file(dashboard: Dashboard) -> str:
    """The text of a dashboard file."""
    document: Json = {
        "annotations": {"list": [_annotation(annotation) for annotation in dashboard.annotations]},
        "description": dashboard.description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [_link(dashboard.tag)],
        "panels": list(_laid_out(dashboard.rows)),
        "refresh": "1m",
        "schemaVersion": _SCHEMA_VERSION,
        "tags": [dashboard.tag],
        "templating": {"list": [_datasource_variable(), *map(_variable, dashboard.variables)]},
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "timezone": "",
        "title": dashboard.title,
        "uid": dashboard.uid,
        "version": 1,
        "weekStart": "",
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _laid_out(rows: Sequence[Row]) -> Iterator[Json]:
    """Every row and panel at its place, ids from 1; a row starts a new line, a full line starts the next."""
    number, top = 0, 0
    for row in rows:
        number += 1
        head, inside = number, []
        x, y, line_height = 0, top + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, line_height = 0, y + line_height, 0
            number += 1
            inside.append(_panel(panel, number if panel.number is None else panel.number, x, y))
            x, line_height = x + panel.width, max(line_height, panel.height)
        yield {
            "collapsed": row.collapsed,
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
            "id": head,
            "panels": inside if row.collapsed else [],
            "title": row.title,
            "type": "row",
        }
        if not row.collapsed:
            yield from inside
        top = top + 1 if row.collapsed else y + line_height


def _panel(panel: Panel, number: int, x: int, y: int) -> Json:
    entry: dict[str, Json] = {
        "id": number,
        "type": str(panel.kind),
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [_override(column) for column in panel.columns]},
        "options": _options(panel),
        "targets": [_query(query, panel, position) for position, query in enumerate(panel.queries)],
    }
    if panel.links:
        entry["links"] = [{"title": link.title, "url": link.url, "targetBlank": False} for link in panel.links]
    if panel.kind is Kind.TABLE:
        entry["transformations"] = _table_steps(panel)
    return entry


def _defaults(panel: Panel) -> Json:
    defaults: dict[str, Json] = {
        "color": {"mode": "palette-classic" if panel.kind is Kind.TIMESERIES else "thresholds"},
        "mappings": [_said(panel.said)] if panel.said else [],
        "thresholds": {"mode": "absolute", "steps": _steps(panel.steps)},
        "unit": panel.unit,
    }
    if panel.kind is Kind.TIMESERIES:
        limits = "line" if len(panel.steps) > 1 else "off"
        defaults["custom"] = {
            "fillOpacity": 5,
            "lineWidth": 1,
            "showPoints": "never",
            "spanNulls": False,
            "thresholdsStyle": {"mode": limits},
        }
    return defaults


def _override(column: TableColumn) -> Json:
    properties: list[Json] = [{"id": "unit", "value": column.unit}]
    if column.steps:
        properties.append({"id": "thresholds", "value": {"mode": "absolute", "steps": _steps(column.steps)}})
        cell: Json = {"type": "color-text"}
        if column.full is not None:
            cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
            properties.extend(({"id": "min", "value": 0}, {"id": "max", "value": column.full}))
        properties.append({"id": "custom.cellOptions", "value": cell})
    if column.link is not None:
        properties.append({"id": "links", "value": [{"title": column.link.title, "url": column.link.url}]})
    if column.said:
        properties.append({"id": "mappings", "value": [_said(column.said)]})
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}})
    return {"matcher": {"id": "byName", "options": column.title}, "properties": properties}


def _options(panel: Panel) -> Json:
    reduce: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case Kind.STAT:
            return {
                "colorMode": "background",
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "reduceOptions": reduce,
                "textMode": "value_and_name" if panel.shows_names else "auto",
            }
        case Kind.BARGAUGE:
            return {"displayMode": "basic", "orientation": "horizontal", "reduceOptions": reduce}
        case Kind.TABLE:
            order: Json = [{"displayName": panel.sort_by, "desc": not panel.ascending}] if panel.sort_by else []
            return {"cellHeight": "sm", "footer": {"show": False}, "showHeader": True, "sortBy": order}
        case Kind.TIMESERIES:
            return {
                "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom"},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case Kind.STATE_TIMELINE:
            return {
                "alignValue": "left",
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
                "mergeValues": True,
                "rowHeight": 0.9,
                "showValue": "auto",
                "tooltip": {"mode": "single", "sort": "none"},
            }
        case Kind.HEATMAP:
            return {
                "calculate": False,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Oranges", "exponent": 0.5, "steps": 64, "fill": "dark-orange"},
                "rowsFrame": {"layout": "auto"},
                "tooltip": {"mode": "single", "yHistogram": False},
                "yAxis": {"axisPlacement": "left", "unit": "s"},
            }


def _query(query: Query, panel: Panel, position: int) -> Json:
    instant = query.instant or panel.kind is Kind.TABLE
    entry: dict[str, Json] = {
        "datasource": _DATASOURCE,
        "expr": query.expr,
        "format": _FORMATS.get(panel.kind, "time_series"),
        "instant": instant,
        "legendFormat": query.legend,
        "range": not instant,
        "refId": chr(ord("A") + position),
    }
    if query.min_step_seconds is not None:
        entry["interval"] = f"{query.min_step_seconds:g}s"
    return entry


def _table_steps(panel: Panel) -> Json:
    """One line for all series with the same labels, the columns in order and under their titles.

    Merging joins rows that agree in everything they have, so what differs by query goes before: the metric's name, and
    the time, which an older Grafana aligns to each query's own step.
    """
    shown = {column.source: column.title for column in panel.columns}
    return [
        {"id": "filterFieldsByName", "options": {"exclude": {"names": ["Time", "__name__"]}}},
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": dict.fromkeys(panel.hidden, True),
                "indexByName": {source: place for place, source in enumerate(shown)},
                "renameByName": shown,
            },
        },
    ]


def _steps(steps: Sequence[Step]) -> Json:
    return [{"color": str(step.color), "value": step.value} for step in steps]


def _said(said: Sequence[Said]) -> Json:
    options: Json = {
        str(one.value): {"color": str(one.color), "index": place, "text": one.text} for place, one in enumerate(said)
    }
    return {"type": "value", "options": options}


def _link(tag: str) -> Json:
    return {
        "asDropdown": False,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "tags": [tag],
        "targetBlank": False,
        "title": "",
        "tooltip": "",
        "type": "dashboards",
        "url": "",
    }


def _datasource_variable() -> Json:
    return {
        "current": {},
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
        "type": "datasource",
    }


def _variable(variable: Variable) -> Json:
    return {
        **_choice(variable),
        "datasource": _DATASOURCE,
        "definition": variable.query,
        "hide": 0,
        "label": variable.label,
        "name": variable.name,
        "options": [],
        "query": {"query": variable.query, "refId": variable.name},
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }


def _choice(variable: Variable) -> Mapping[str, Json]:
    if variable.single:
        return {"current": {}, "includeAll": False, "multi": False}
    everything: Json = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return {"allValue": ".+", "current": everything, "includeAll": True, "multi": True}


def _annotation(annotation: Annotation) -> Json:
    return {
        "datasource": _DATASOURCE,
        "enable": True,
        "expr": annotation.expr,
        "hide": False,
        "iconColor": str(annotation.color),
        "name": annotation.name,
        "step": "60s",
        "tagKeys": "",
        "textFormat": annotation.text,
        "titleFormat": annotation.title,
        "useValueForTime": False,
    }
