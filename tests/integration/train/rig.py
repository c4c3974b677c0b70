"""Runs through Ray Train: a driver in this process, a platform of its own, and what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from tests.fixtures.ray import RayNode
from tests.unit.train_jobs.helpers import TINY, Story
from thornback.jobs.convnext import TrainingConfig
from thornback.jobs.events import Attempt
from thornback.jobs.spec import ConvNextSpec
from thornback.jobs.status import FailureReason
from thornback.settings import Settings
from train_jobs.common.console import ConsoleReporter
from train_jobs.convnext.driver import Driver
from train_jobs.convnext.plan import RunFolder

DEADLINE_S = 180.0  # of anything that is waited for; a busy machine needs most of it


@dataclass
class DriverStory(Story):
    """Remembers what a driver tells."""

    retries: list[tuple[Attempt, FailureReason, str]] = field(default_factory=list)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def retried(self, attempt: Attempt, reason: FailureReason, message: str) -> None:
        super().retried(attempt, reason, message)
        self.retries.append((attempt, reason, message))

    def artifact(self, **values: Any) -> None:
        self.artifacts[values["name"]] = values

    def succeeded(self, summary: Any = None) -> None:
        self.end = ("succeeded", dict(summary or {}))

    def failed(self, reason: FailureReason, message: str) -> None:
        self.end = ("failed", reason, message)


def make_driver(config: TrainingConfig, folder: Path | str, settings: Settings, story: Story, **changes: Any) -> Driver:
    """A driver of a run of the small network."""
    values: dict[str, Any] = {"model_kwargs": TINY, **changes}
    return Driver(
        spec=ConvNextSpec(job_name="test", config=config),
        settings=settings,
        folder=RunFolder(uri=str(folder)),
        reporter=ConsoleReporter(story, is_captured=False),
        **values,
    )


def weights_of(folder: Path) -> dict[str, Tensor]:
    """The exported weights of a finished run."""
    return load_file(folder / "model.safetensors")


def wait_until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """The first true answer."""
    give_up = time.monotonic() + deadline_s
    pause = threading.Event()
    while time.monotonic() < give_up:
        answer = condition()
        if answer:
            return answer
        pause.wait(0.02)
    raise AssertionError(f"no {what} within {deadline_s:g} s")


def worker_pids(node: RayNode) -> list[int]:
    """Processes of Ray Train workers that are alive in this cluster."""
    from ray.util.state import list_actors

    # The address, because other Rays may run on this machine.
    found = list_actors(
        node.dashboard, filters=[("class_name", "=", "RayTrainWorker"), ("state", "=", "ALIVE")], detail=True
    )
    return [actor.pid for actor in found if actor.pid]


@contextmanager
def in_background(act: Callable[[], None]) -> Iterator[None]:
    """Act beside what is run here; its failure is the test's."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - told to the test below
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    yield
    thread.join(DEADLINE_S)
    if errors:
        raise errors[0]


def start_process(node: RayNode, settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    """`python -m train_jobs.convnext` as the dispatcher starts it, on this Ray."""
    environment = {**os.environ, **settings.environment(), "RAY_ADDRESS": node.address}
    command = [sys.executable, "-m", "train_jobs.convnext", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=settings.home
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and output."""
    try:
        output, _ = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    return process.returncode, output
