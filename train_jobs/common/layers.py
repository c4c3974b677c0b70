"""Reporters that pass everything on to another one, and so can each add one thing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, SupportsFloat

from thornback.jobs.events import Attempt
from thornback.jobs.status import FailureReason
from thornback.metrics.reporter import Reporter


class ReporterLayer:
    """Passes on; subclasses override what they add to. See Reporter for what each method means."""

    def __init__(self, inner: Reporter) -> None:
        self._inner = inner

    @property
    def attempt(self) -> Attempt:
        """See Reporter."""
        return self._inner.attempt

    @property
    def should_stop(self) -> bool:
        """See Reporter."""
        return self._inner.should_stop

    @property
    def is_superseded(self) -> bool:
        """See Reporter."""
        return self._inner.is_superseded

    def asked(self) -> Mapping[str, datetime]:
        """See Reporter."""
        return self._inner.asked()

    def metrics(self, *, epoch: int, phase: str, values: Mapping[str, SupportsFloat], batch: int | None = None) -> None:
        """See Reporter."""
        self._inner.metrics(epoch=epoch, phase=phase, values=values, batch=batch)

    def progress(self, *, percent: float, epoch: int, total_epochs: int, eta_seconds: float | None) -> None:
        """See Reporter."""
        self._inner.progress(percent=percent, epoch=epoch, total_epochs=total_epochs, eta_seconds=eta_seconds)

    def stage(self, name: str) -> None:
        """See Reporter."""
        self._inner.stage(name)

    def describe(self, **facts: Any) -> None:
        """See Reporter."""
        self._inner.describe(**facts)

    def artifact(
        self, *, name: str, type: str, uri: str, size_bytes: int | None = None, sha256: str | None = None
    ) -> None:
        """See Reporter."""
        self._inner.artifact(name=name, type=type, uri=uri, size_bytes=size_bytes, sha256=sha256)

    def log(self, line: str) -> None:
        """See Reporter."""
        self._inner.log(line)

    def started(self) -> None:
        """See Reporter."""
        self._inner.started()

    def retried(self, attempt: Attempt, reason: FailureReason, message: str) -> None:
        """See Reporter."""
        self._inner.retried(attempt, reason, message)

    def parked(self) -> None:
        """See Reporter."""
        self._inner.parked()

    def succeeded(self, summary: Mapping[str, Any] | None = None) -> None:
        """See Reporter."""
        self._inner.succeeded(summary)

    def failed(self, reason: FailureReason, message: str) -> None:
        """See Reporter."""
        self._inner.failed(reason, message)

    def flush(self, timeout_s: float) -> bool:
        """See Reporter."""
        return self._inner.flush(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """See Reporter."""
        return self._inner.close(timeout_s)
