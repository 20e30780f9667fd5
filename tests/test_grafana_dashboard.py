"""The dashboard asks for what /metrics has: every name and label in its queries is there, and nothing counted is left out."""

import itertools
import json
import re
from pathlib import Path

import pytest

from tests.answers import completion, stream, tool, tool_call
from tests.scraped import Scraped, until_counted

FILE = Path(__file__).resolve().parent.parent / "deploy" / "grafana-dashboard.json"
DASHBOARD = json.loads(FILE.read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
GRAFANAS = {"__rate_interval", "__range"}


@pytest.fixture
def scraped(client_for, upstream) -> Scraped:
    """What a gateway says that has served, repaired, refused and asked again."""
    gateway = client_for("relay")
    upstream.reply_json(completion(None, tool_calls=[tool_call(identifier="")]))
    gateway.chat(tools=[tool()])
    upstream.reply_sse(stream())
    gateway.chat(stream=True)
    upstream.refuse(500)
    gateway.chat()
    return until_counted(gateway.url, 3)


def test_every_metric_that_is_queried_exists_and_every_one_that_exists_is_queried(scraped):
    queried = {name for query in QUERIES for name in re.findall(r"\bgateway_\w+", query)}
    assert queried <= scraped.names(), queried - scraped.names()
    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in queried} == set(scraped.families)


def test_every_label_that_is_queried_exists(scraped):
    labels: dict[str, set[str]] = {}
    for sample in scraped.samples:
        labels.setdefault(sample.name, set()).update(sample.labels)
    for query in QUERIES:
        grouped = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(", ")}
        for name, selector in re.findall(r"\b(gateway_\w+)(?:\{([^}]*)\})?", query):
            chosen = set(re.findall(r"(\w+)=", selector))
            assert chosen | grouped <= labels[name], f"{query}: {name} has {labels[name]}"
    for target in (target for panel in PANELS for target in panel["targets"]):
        shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        known = set().union(*(labels[name] for name in re.findall(r"\bgateway_\w+", target["expr"])))
        assert shown <= known, target["expr"]


def test_queries_are_balanced_and_use_known_variables():
    for query in QUERIES:
        for left, right in ("()", "{}", "[]"):
            assert query.count(left) == query.count(right), query
        assert set(re.findall(r"\$(\w+)", query)) <= GRAFANAS | set(VARIABLES), query
    for name in ("model", "engine"):
        assert VARIABLES[name]["definition"] == f"label_values(gateway_requests_total, {name})"


def test_panels_have_their_own_numbers_and_places():
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(identifiers) == len(set(identifiers))
    for one, other in itertools.combinations((panel["gridPos"] for panel in DASHBOARD["panels"]), 2):
        apart = (one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
                 or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"])  # fmt: skip
        assert apart, (one, other)
        assert one["x"] + one["w"] <= 24


def test_it_comes_from_no_particular_grafana():
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    assert not re.search(r"https?://", FILE.read_text("utf-8"))
