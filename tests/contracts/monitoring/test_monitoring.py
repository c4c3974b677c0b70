"""Metrics, rules, dashboard and runbook speak of the same things."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from tests.contracts.monitoring.dashboard_model import Dashboard, Place
from tests.contracts.monitoring.files import (
    MONITORING,
    ROOT,
    RUNBOOK,
    Query,
    alerts,
    dashboard,
    panel_queries,
    records,
    rule_queries,
)
from thornback.telemetry.catalogue import CATALOGUE
from thornback.telemetry.metric import Metric

HERE = Path(__file__).parent
QUERIES = [*panel_queries(), *rule_queries()]
SERIES = {series: metric for metric in CATALOGUE for series in metric.series}
MOST_PANELS = 30  # more than fits on a screen or two answers no question


def anchors(markdown: str) -> set[str]:
    """The addresses of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_a_query_names_only_what_there_is(query: Query) -> None:
    assert query.series <= SERIES.keys()
    assert query.recorded <= {rule["record"] for rule in records()}
    assert query.series or query.recorded or "ALERTS" in query.expr


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_every_metric_has_a_reader(metric: Metric) -> None:
    assert any(set(metric.series) & query.series for query in QUERIES)


@pytest.mark.parametrize("record", [rule["record"] for rule in records()])
def test_every_recorded_series_has_a_reader(record: str) -> None:
    assert any(record in query.recorded for query in QUERIES if query.where != f"record {record}")


def test_gauges_are_read_together_with_a_sign_of_life() -> None:
    """Ray tells for ever what a process that has ended said last."""
    for query in QUERIES:
        gauges = {name for name in query.series if SERIES[name].kind == "gauge" and "_timestamp_" not in name}
        assert not gauges or "and on (WorkerId) thornback:processes_alive" in query.expr, query.where


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_has_its_section_in_the_runbook(rule: dict[str, dict[str, str]]) -> None:
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert ROOT / path == RUNBOOK
    assert anchor in anchors(RUNBOOK.read_text())
    assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    named = set(re.findall(r"^### (Thornback\w+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert named == {rule["alert"] for rule in alerts()}


def test_the_runbook_lists_all_metrics() -> None:
    rows = [f"| `{one.name}` | {', '.join(one.tags) or '—'} | {one.text} |" for one in CATALOGUE]
    lines = [line for line in RUNBOOK.read_text().splitlines() if line.startswith("| `thornback_")]
    assert lines == rows


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    found = Dashboard.model_validate(dashboard())
    ids = [panel.id for panel in found.panels]
    assert len(ids) == len(set(ids)) <= MOST_PANELS
    places = [panel.gridPos for panel in found.panels]
    assert all(place.x + place.w <= 24 for place in places)
    assert not [pair for pair in combinations(places, 2) if _overlap(*pair)]


def _overlap(a: Place, b: Place) -> bool:
    return a.x < b.x + b.w and b.x < a.x + a.w and a.y < b.y + b.h and b.y < a.y + a.h


def test_every_alert_is_tried() -> None:
    tests = yaml.safe_load((HERE / "alerts.test.yml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in alerts()}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool; see scripts/services")
@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", str(MONITORING / "alert.rules.yml"), str(MONITORING / "recording.rules.yml")),
        ("check", "config", str(MONITORING / "prometheus.yml")),
        ("test", "rules", str(HERE / "alerts.test.yml")),
    ],
    ids=" ".join,
)
def test_prometheus_takes_the_rules(command: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
