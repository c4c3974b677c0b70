"""A sink that keeps what it is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from thornback.telemetry.metric import Metric

Key = tuple[str, tuple[tuple[str, str], ...]]


class Taken:
    """Counters add up, gauges keep the newest value, histograms all of them; tags are checked as Ray checks them."""

    def __init__(self) -> None:
        self.counts: dict[Key, float] = defaultdict(float)
        self.values: dict[Key, float] = {}
        self.seen: dict[Key, list[float]] = defaultdict(list)

    def add(self, metric: Metric, amount: float, tags: Mapping[str, str]) -> None:
        self.counts[_key(metric, tags)] += amount

    def set(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        self.values[_key(metric, tags)] = value

    def observe(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        self.seen[_key(metric, tags)].append(value)

    def count(self, metric: Metric, **tags: str) -> float:
        return self.counts.get(_key(metric, tags), 0.0)

    def value(self, metric: Metric, **tags: str) -> float | None:
        return self.values.get(_key(metric, tags))

    def all(self, metric: Metric, **tags: str) -> list[Any]:
        return self.seen.get(_key(metric, tags), [])


def _key(metric: Metric, tags: Mapping[str, str]) -> Key:
    assert set(tags) == set(metric.tags), f"{metric.name} has the tags {metric.tags}, not {sorted(tags)}"
    return metric.name, tuple(sorted(tags.items()))
