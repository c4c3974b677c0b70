"""A reporter that remembers what a pipeline told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from thornback.jobs.status import FailureReason
from thornback.metrics.reporter import NullReporter


@dataclass
class Story(NullReporter):
    """What was told, in order."""

    percents: list[float] = field(default_factory=list)
    etas: list[float | None] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    wishes: dict[str, datetime] = field(default_factory=dict)
    end: tuple[Any, ...] | None = None
    stop: bool = False
    superseded: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def should_stop(self) -> bool:
        return self.stop or self.superseded

    @property
    def is_superseded(self) -> bool:
        return self.superseded

    def asked(self) -> Mapping[str, datetime]:
        return self.wishes

    def progress(self, *, percent: float, epoch: int, total_epochs: int, eta_seconds: float | None) -> None:
        self.percents.append(percent)
        self.etas.append(eta_seconds)

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def describe(self, **facts: Any) -> None:
        self.facts |= facts

    def artifact(self, **values: Any) -> None:
        self.artifacts[values["name"]] = values

    def log(self, line: str) -> None:
        self.lines.append(line)

    def parked(self) -> None:
        self.end = ("parked",)

    def succeeded(self, summary: Any = None) -> None:
        self.end = ("succeeded", dict(summary or {}))

    def failed(self, reason: FailureReason, message: str) -> None:
        self.end = ("failed", reason, message)
