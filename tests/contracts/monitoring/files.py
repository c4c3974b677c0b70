"""The files of cluster/monitoring, read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "cluster" / "monitoring"
RUNBOOK = ROOT / "cluster" / "RUNBOOK.md"

_OURS = re.compile(r"\bray_thornback_\w+")
_RECORDED = re.compile(r"\bthornback:\w+(?::\w+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """An expression, and where it stands."""

    where: str
    expr: str

    @property
    def series(self) -> set[str]:
        """Our own series that it names."""
        return set(_OURS.findall(self.expr))

    @property
    def recorded(self) -> set[str]:
        """Recorded series that it names."""
        return set(_RECORDED.findall(self.expr))


@cache
def rules(file: str) -> list[dict[str, Any]]:
    """All rules of a file of rules."""
    document = yaml.safe_load((MONITORING / file).read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """The alert rules."""
    return rules("alert.rules.yml")


def records() -> list[dict[str, Any]]:
    """The recording rules."""
    return rules("recording.rules.yml")


@cache
def dashboard() -> dict[str, Any]:
    """The dashboard."""
    document: dict[str, Any] = json.loads((MONITORING / "grafana" / "thornback.json").read_text())
    return document


def panel_queries() -> Iterator[Query]:
    """Of the dashboard."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield Query(where=f"panel {panel['title']}", expr=target["expr"])


def rule_queries() -> Iterator[Query]:
    """Of all rules."""
    for rule in alerts():
        yield Query(where=f"alert {rule['alert']}", expr=rule["expr"])
    for rule in records():
        yield Query(where=f"record {rule['record']}", expr=rule["expr"])
