#!/usr/bin/env python3
"""Makes the Grafana dashboards (helm/ccm/files/dashboards). What they show stands in boards.py; run this after a change there.

The JSON is committed, since the chart takes it as it is; deploy/dev/check-alerts says when it is not what this makes. The chart puts its runbooks'
address in the place of https://RUNBOOKS/.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("helm/ccm/files/dashboards")
RUNBOOKS = "https://RUNBOOKS/"
# Of Grafana 12; older ones from 10 on read it too.
SCHEMA = 41
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
# In the place of Grafana's variables where there is no Grafana.
PLAIN = {
    r"\$__rate_interval": "5m",
    r"\$__range": "1h",
    r"\$__interval": "1m",
    r"\$namespace": ".*",
    r"\$role": ".*",
}


def plain(expression):
    """As Prometheus itself takes it."""
    for variable, value in PLAIN.items():
        expression = re.sub(variable, value, expression)
    return expression


def steps(thresholds):
    """`[(value, colour)]`, green below the first."""
    return [{"color": "green", "value": None}] + [{"color": colour, "value": value} for value, colour in thresholds]


def panel(number, place, what):
    """`what` is one of boards.py's."""
    kind = what.get("kind", "timeseries")
    defaults = {"unit": what["unit"], "thresholds": {"mode": "absolute", "steps": steps(what.get("thresholds", []))}}
    for key in ("max", "decimals"):
        if key in what:
            defaults[key] = what[key]
    options = {}
    if kind == "timeseries":
        defaults["color"] = {"mode": "palette-classic"}
        if what.get("min", 0) is not None:
            defaults["min"] = what.get("min", 0)
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 25 if what.get("stack") else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if what.get("stack") else "none"},
            "thresholdsStyle": {"mode": "line" if what.get("thresholds") else "off"},
        }
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    elif kind == "stat":
        defaults["color"] = {"mode": "thresholds"}
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "auto",
            "justifyMode": "auto",
            "orientation": "auto",
        }
    elif kind == "table":
        defaults["custom"] = {"align": "auto", "filterable": True}
        options = {"showHeader": True, "cellHeight": "sm"}
    made = {
        "id": number,
        "type": kind,
        "title": what["title"],
        "description": what["says"],
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "editorMode": "code",
                **({"instant": True, "range": False, "format": "table"} if kind == "table" else {"instant": kind == "stat", "range": kind != "stat"}),
            }
            for at, (expression, legend) in enumerate(what["asks"])
        ],
    }
    if what.get("alerts"):
        made["links"] = [{"title": name, "url": f"{RUNBOOKS}{name}.md", "targetBlank": True} for name in what["alerts"]]
    if kind == "table":
        hidden = {name: True for name in ("Time", "Value", "__name__", *what.get("hides", []))}
        made["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
    return made


def board(uid, title, says, rows, roles):
    """`rows` is `[(title, [panel])]`."""
    panels, number, y = [], 1, 0
    for heading, whats in rows:
        place = {"h": 1, "w": WIDTH, "x": 0, "y": y}
        panels.append({"id": number, "type": "row", "title": heading, "collapsed": False, "gridPos": place, "panels": []})
        number, y, x, height = number + 1, y + 1, 0, 0
        for what in whats:
            w, h = what.get("w", 8), what.get("h", 8)
            if x + w > WIDTH:
                x, y, height = 0, y + height, 0
            panels.append(panel(number, {"h": h, "w": w, "x": x, "y": y}, what))
            number, x, height = number + 1, x + w, max(height, h)
        y += height
    variables = [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0, "refresh": 1},
        variable("namespace", "Namespace", "label_values(ccm_build_info, namespace)"),
    ]
    if roles:
        variables.append(variable("role", "Role", 'label_values(ccm_build_info{namespace=~"$namespace"}, role)'))
    return {
        "uid": uid,
        "title": title,
        "description": says,
        "tags": ["ccm"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables},
        "annotations": {"list": [versions()]},
        "links": [
            {"type": "dashboards", "title": "CCM", "tags": ["ccm"], "asDropdown": True, "includeVars": True, "keepTime": True},
            {"type": "link", "title": "Runbooks", "url": f"{RUNBOOKS}README.md", "targetBlank": True},
        ],
        "panels": panels,
    }


def variable(name, label, query):
    # Where series have no such label (no Kubernetes), `All` finds them all the same: `.*` is also nothing.
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def versions():
    """A line where a new version begins."""
    return {
        "name": "New versions",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": 'count by (version) (ccm_build_info{namespace=~"$namespace"}) unless count by (version) (ccm_build_info{namespace=~"$namespace"} offset 5m)',
        "titleFormat": "{{version}}",
    }


def made():
    """The files' names and what stands in them."""
    import boards

    return {f"{name}.json": json.dumps(board(**what), indent=2, ensure_ascii=False) + "\n" for name, what in boards.BOARDS.items()}


def read(root):
    return [json.loads(path.read_text()) for path in sorted(Path(root, FOLDER).glob("*.json"))]


def panels(board):
    for one in board["panels"]:
        if one["type"] == "row":
            yield from one.get("panels", [])
        else:
            yield one


def heading_panels(board):
    for one in board["panels"]:
        yield one
        yield from one.get("panels", [])


def targets(board):
    for one in panels(board):
        for target in one.get("targets", []):
            yield one, target


def variables(board):
    """Names, and what they ask for."""
    for one in board["templating"]["list"]:
        found = re.fullmatch(r"label_values\((.*), \w+\)", one.get("definition", ""))
        if found:
            yield one["name"], found[1]


def text_of(board):
    return json.dumps(board)


def wrong_with(board):
    """What a panel lacks that people need."""
    where = f"dashboard {board['title']}"
    if not re.fullmatch(r"ccm-[a-z-]{1,36}", board.get("uid", "")):
        yield f"{where}: uid is ccm- and its name"
    ids = [one["id"] for one in heading_panels(board) if "id" in one]
    if len(ids) != len(set(ids)):
        yield f"{where}: two panels have one id"
    titles = [one["title"] for one in panels(board)]
    for title in {title for title in titles if titles.count(title) > 1}:
        yield f"{where}: two panels are called {title!r}"
    taken = set()
    for one in heading_panels(board):
        place = one["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        if cells & taken or place["x"] + place["w"] > WIDTH:
            yield f"{where}: {one['title']!r} lies on another panel, or outside"
        taken |= cells
    for one in panels(board):
        what = f"{where}, panel {one['title']!r}"
        if not one.get("description", "").endswith("."):
            yield f"{what}: its description is a sentence"
        if not one["fieldConfig"]["defaults"].get("unit"):
            yield f"{what}: no unit"
        if one["datasource"] != SOURCE or any(t["datasource"] != SOURCE for t in one["targets"]):
            yield f"{what}: its data source is ${{datasource}}"
        for target in one["targets"]:
            if "$namespace" not in target["expr"] and not target["expr"].startswith("ccm:slo_budget"):
                yield f"{what}: it does not ask by $namespace"
            if re.search(r"(rate|increase)\([^\[]*\[(?!\$__)", target["expr"]):
                yield f"{what}: its rate is over a fixed time: take $__rate_interval or $__range"


def main():
    folder = ROOT / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made().items():
        (folder / name).write_text(text)
        print(f"{FOLDER}/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
