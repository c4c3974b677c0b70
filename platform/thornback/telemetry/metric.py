"""A metric, and where its values go: nowhere, until the process says otherwise.

Parts that know no Ray hold a `Metric` of the catalogue and tell it values; `export_to_ray` (see exporter.py) is
called by the processes that Ray scrapes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

# What Ray's exporter puts before the name of every metric of an application.
PREFIX = "ray_"


class Kind(StrEnum):
    """As Prometheus knows them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. Its tags have few values: never a job, a user or an address (ray-project/ray#65817)."""

    name: str
    kind: Kind
    text: str
    tags: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()  # upper bounds; of a histogram alone

    @property
    def series(self) -> tuple[str, ...]:
        """What Prometheus finds it under."""
        name = f"{PREFIX}{self.name}"
        if self.kind is Kind.HISTOGRAM:
            return f"{name}_bucket", f"{name}_count", f"{name}_sum"
        return (name,)

    def add(self, amount: float = 1.0, **tags: str) -> None:
        """Count."""
        _outlet.sink.add(self, amount, tags)

    def set(self, value: float, **tags: str) -> None:
        """Say how much it is now."""
        _outlet.sink.set(self, value, tags)

    def observe(self, value: float, **tags: str) -> None:
        """Note one of many values."""
        _outlet.sink.observe(self, value, tags)

    @contextmanager
    def timed(self, **tags: str) -> Iterator[None]:
        """Observe how many seconds the body took, also where it raises."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - begun, **tags)


class Sink(Protocol):
    """Takes values. Its methods return in microseconds and raise nothing."""

    def add(self, metric: Metric, amount: float, tags: Mapping[str, str]) -> None:
        """Count."""
        ...

    def set(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Say how much it is now."""
        ...

    def observe(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Note one of many values."""
        ...


class NullSink:
    """Where nobody reads."""

    def add(self, metric: Metric, amount: float, tags: Mapping[str, str]) -> None:
        """See Sink."""

    def set(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """See Sink."""

    def observe(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """See Sink."""


class _Outlet:
    """Of the process: metrics are what it tells, whoever in it measures."""

    def __init__(self) -> None:
        self.sink: Sink = NullSink()


_outlet = _Outlet()


def tell(sink: Sink) -> Sink:
    """From now on all metrics of this process go there; returns where they went before."""
    before, _outlet.sink = _outlet.sink, sink
    return before
