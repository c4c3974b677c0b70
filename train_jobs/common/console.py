"""A run told in lines, for a terminal and for the job's log."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, SupportsFloat

from thornback.artifacts.files import without_secrets
from thornback.jobs.events import Attempt
from thornback.jobs.status import FailureReason
from thornback.metrics.reporter import Reporter
from train_jobs.common.layers import ReporterLayer

_PRINTED_FACTS = (
    "device",
    "amp",
    "precision",
    "channels_last",
    "gradient_checkpointing",
    "fsdp",
    "compile",
    "threads",
    "loader_processes",
)


def say(line: str) -> None:
    """One line to stdout, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class ConsoleReporter(ReporterLayer):
    """Prints what people want to follow."""

    def __init__(self, inner: Reporter, *, is_captured: bool) -> None:
        """`is_captured`: what is printed reaches the job's log by itself, through `capture_output`."""
        super().__init__(inner)
        self._is_captured = is_captured
        self._total_epochs = 0

    def say(self, line: str) -> None:
        """Print a line, and see that it gets into the job's log once."""
        say(line)
        if not self._is_captured:
            self._inner.log(line)

    def metrics(self, *, epoch: int, phase: str, values: Mapping[str, SupportsFloat], batch: int | None = None) -> None:
        """An epoch's row is printed, a step's is not."""
        super().metrics(epoch=epoch, phase=phase, values=values, batch=batch)
        if batch is None:
            self.say(epoch_line(epoch, self._total_epochs, phase, values))

    def progress(self, *, percent: float, epoch: int, total_epochs: int, eta_seconds: float | None) -> None:
        """Remembered for the next line."""
        self._total_epochs = total_epochs
        super().progress(percent=percent, epoch=epoch, total_epochs=total_epochs, eta_seconds=eta_seconds)

    def stage(self, name: str) -> None:
        """A heading."""
        super().stage(name)
        self.say(f"== {name}")

    def describe(self, **facts: Any) -> None:
        """Choices are printed with their reasons."""
        super().describe(**facts)
        for name in _PRINTED_FACTS:
            if name in facts:
                self.say(f"   {name}: {facts[name]}")

    def artifact(
        self, *, name: str, type: str, uri: str, size_bytes: int | None = None, sha256: str | None = None
    ) -> None:
        """Checkpoints come too often to be printed."""
        super().artifact(name=name, type=type, uri=uri, size_bytes=size_bytes, sha256=sha256)
        if type != "checkpoint":
            self.say(f"   {name}: {without_secrets(uri)}")

    def log(self, line: str) -> None:
        """Printed."""
        self.say(line)

    def retried(self, attempt: Attempt, reason: FailureReason, message: str) -> None:
        """What was lost."""
        super().retried(attempt, reason, message)
        self.say(f"!! {reason.value}: {message}; going on from the last checkpoint")

    def parked(self) -> None:
        """What comes next."""
        super().parked()
        self.say("== this driver ends; the next one begins with the approval")

    def succeeded(self, summary: Mapping[str, Any] | None = None) -> None:
        """The figures."""
        super().succeeded(summary)
        for name, value in (summary or {}).items():
            self.say(f"   {name}: {value:.4g}" if isinstance(value, float) else f"   {name}: {value}")
        self.say("== done")

    def failed(self, reason: FailureReason, message: str) -> None:
        """The reason."""
        super().failed(reason, message)
        self.say(f"!! failed ({reason.value}): {message}")


def epoch_line(epoch: int, total: int, phase: str, values: Mapping[str, SupportsFloat]) -> str:
    """For example `epoch 3/10  train_loss 0.4123  val_loss 0.5012  val_accuracy 87.5%`."""
    parts = [f"epoch {epoch}/{total}" if phase == "val" else phase]
    for name in ("train_loss", "val_loss", "test_loss"):
        if name in values:
            parts.append(f"{name} {float(values[name]):.4f}")
    for name in ("train_accuracy", "val_accuracy", "test_accuracy", "macro_f1"):
        if name in values:
            parts.append(f"{name} {float(values[name]):.1%}")
    if "images_per_second" in values:
        parts.append(f"{float(values['images_per_second']):.0f} images/s")
    return "  ".join(parts)
