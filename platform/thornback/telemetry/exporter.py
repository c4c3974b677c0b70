"""Metrics to Ray, whose agent on each node is scraped by Prometheus. For processes that are connected to Ray."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from ray.util import metrics as ray_metrics

from thornback.log import get_logger
from thornback.telemetry.catalogue import PROCESS_SEEN
from thornback.telemetry.metric import Kind, Metric, tell

SEEN_EVERY_S = 5.0

_log = get_logger("telemetry")


class RaySink:
    """Makes Ray's metric with the first value: a process has only those that it tells of."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._failed: set[str] = set()
        self._lock = threading.Lock()

    def add(self, metric: Metric, amount: float, tags: Mapping[str, str]) -> None:
        """See Sink."""
        if amount > 0:  # Ray refuses to count nothing
            self._tell("inc", metric, amount, tags)

    def set(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """See Sink."""
        self._tell("set", metric, value, tags)

    def observe(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """See Sink."""
        # Clocks of two machines differ a little, and Ray refuses to observe less than its first bucket.
        self._tell("observe", metric, max(value, 0.0), tags)

    def _tell(self, act: str, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        try:
            getattr(self._found(metric), act)(value, tags=dict(tags))
        except Exception as error:  # noqa: BLE001 - what measures must never break what is measured; said once
            if metric.name not in self._failed:
                self._failed.add(metric.name)
                _log.warning("a metric cannot be told", metric=metric.name, error=repr(error))

    def _found(self, metric: Metric) -> Any:
        made = self._made.get(metric.name)
        if made is None:
            with self._lock:
                made = self._made.get(metric.name)
                if made is None:
                    made = self._made[metric.name] = _make(metric)
        return made


def export_to_ray(component: str | None = None) -> None:
    """From now on the metrics of this process are on its node's /metrics.

    Args:
        component: what the process is, so that it says from time to time that it lives; None for one of a job.
    """
    tell(RaySink())
    if component is not None:
        threading.Thread(target=_say_that_it_lives, args=(component,), name="seen", daemon=True).start()


def _say_that_it_lives(component: str) -> None:
    while True:
        PROCESS_SEEN.set(time.time(), component=component)
        time.sleep(SEEN_EVERY_S)


def _make(metric: Metric) -> Any:
    if metric.kind is Kind.HISTOGRAM:
        return ray_metrics.Histogram(
            metric.name, description=metric.text, boundaries=list(metric.buckets), tag_keys=metric.tags
        )
    kind: Any = ray_metrics.Counter if metric.kind is Kind.COUNTER else ray_metrics.Gauge
    return kind(metric.name, description=metric.text, tag_keys=metric.tags)
