"""Alerts and dashboards: they ask for what a node has, and each alert says what to do."""

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "playhall.rules.yaml"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
RUNBOOK = ROOT / "docs" / "operations" / "runbook.md"
PROMTOOL = shutil.which("promtool")
# Prometheus makes this one itself, of each scrape.
ITS_OWN = {"up"}
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool here")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def queries_of(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for variable in dashboard["templating"]["list"]:
        yield variable["query"]["query"]


def metrics_in(query: str) -> set[str]:
    """Find the names of metrics: what is no function, keyword, label or text."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = re.sub(r"\b(?:by|on|without|ignoring)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"\b(?:playhall|process|python|up)(?:[_:][a-z0-9_:]+)?\b(?!\s*\()", bare))


@pytest.fixture(scope="module")
async def exported(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[set[str]]:
    """The metrics of a running node, also of those that have no sample yet."""
    dsn = databases.create(template=TEMPLATE)
    with Node(tmp_path_factory.mktemp("node") / "a", databases.serving_dsn(dsn)) as node:
        async with aiohttp.ClientSession() as web, web.get(f"{node.url}/metrics") as answer:
            text = await answer.text()
    names = {
        sample.name for each in text_string_to_metric_families(text) for sample in each.samples
    }
    yield names | set(re.findall(r"^# TYPE (\S+)", text, re.M))
    databases.drop(dsn)


async def test_every_metric_that_is_asked_for_is_there(exported: set[str]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    queries = [rule["expr"] for rule in rules()]
    for path in DASHBOARDS:
        queries += queries_of(json.loads(path.read_text()))
    asked = set().union(*map(metrics_in, queries))
    assert len(asked) > 60
    assert sorted(asked - exported - recorded - ITS_OWN) == []
    assert metrics_in('max by (job) (playhall_x_total{name="playhall_y"}[5m]) > up') == {
        "playhall_x_total",
        "up",
    }


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    page = RUNBOOK.read_text()
    entries = dict(re.findall(r"^## (\w+)\n\n(.+?)(?=\n## |\Z)", page, re.M | re.S))
    names = [alert["alert"] for alert in alerts()]
    assert names == list(entries), "the runbook has every alert, in the same order"
    for alert in alerts():
        assert alert["labels"]["severity"] in ("page", "ticket")
        name = alert["alert"]
        assert alert["annotations"]["runbook"] == f"docs/operations/runbook.md#{name.lower()}"
        assert len(entries[name]) > 60, name


@needs_promtool
def test_the_rules_and_the_configuration_are_what_prometheus_takes() -> None:
    for kind, path in (("rules", RULES), ("config", RULES.with_name("prometheus.yaml"))):
        promtool("check", kind, str(path))


@needs_promtool
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    series = sorted(Path(__file__).parent.glob("alerts*.yaml"))
    assert len(series) == 2
    promtool("test", "rules", *map(str, series))


@needs_promtool
def test_every_query_of_the_dashboards_is_one(tmp_path: Path) -> None:
    queries = [
        re.sub(r"\$__rate_interval", "5m", query)
        for path in DASHBOARDS
        for query in queries_of(json.loads(path.read_text()))
        if not query.startswith("label_values(")
    ]
    as_rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(queries)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": as_rules}]}))
    promtool("check", "rules", str(file))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_what_grafana_reads(path: Path) -> None:
    register_default_plugins()
    written = json.loads(path.read_text())
    read = Dashboard.from_json(written)
    assert read.panels is not None
    assert len(read.panels) == len(written["panels"])
    # What its own model does not know would be gone by now.
    assert set(read.to_json()) >= set(written)
    source = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/datasources/playhall.yaml").read_text()
    )
    (uid,) = {each["uid"] for each in source["datasources"]}
    panels = [panel for panel in written["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} == {uid}
    ids = [panel["id"] for panel in written["panels"]]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in written["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)


def promtool(*arguments: str) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
