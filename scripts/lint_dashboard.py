"""Holds the Grafana dashboard to its form, and prints its expressions as Prometheus rules, for `promtool check rules`.

Usage: lint_dashboard.py dashboard.json. Exits with 1 and says what is wrong: a panel without description or unit, a data
source that an importer could not choose, panels over each other.
"""

import itertools
import json
import sys

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# What Grafana puts in place of its variables; any duration is as good for the syntax.
VARIABLES = {"$__rate_interval": "1m"}


def problems_of(panel):
    kind, title = panel["type"], panel.get("title")
    if not title:
        yield "has no title"
    if kind == "row":
        return
    if not panel.get("description", "").endswith("."):
        yield "has no description, or one that is not a sentence"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "has no unit"
    targets = panel["targets"]
    if not targets:
        yield "shows nothing"
    if len({target["refId"] for target in targets}) < len(targets):
        yield "has two targets with one refId"
    if any(source != DATASOURCE for source in [panel["datasource"], *(target["datasource"] for target in targets)]):
        yield "does not use the variable datasource"


def problems(dashboard):
    panels = dashboard["panels"]
    for panel in panels:
        for problem in problems_of(panel):
            yield f"panel {panel['id']} ({panel.get('title')}) {problem}"
    if len({panel["id"] for panel in panels}) < len(panels):
        yield "two panels have one id"
    if [variable["type"] for variable in dashboard["templating"]["list"]] != ["datasource"]:
        yield "there must be one variable, for the data source"
    for one, other in itertools.combinations(panels, 2):
        a, b = one["gridPos"], other["gridPos"]
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        if not apart:
            yield f"panels {one['id']} and {other['id']} lie over each other"
    if max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in panels) > 24:
        yield "a panel is wider than the page"


def expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["expr"]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        dashboard = json.load(file)
    found = list(problems(dashboard))
    for problem in found:
        print(f"{sys.argv[1]}: {problem}", file=sys.stderr)
    rules = []
    for number, expression in enumerate(expressions(dashboard)):
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        rules.append({"record": f"panel:{number}", "expr": expression})
    json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
