"""One training over two machines: its rows are those of one job, and both machines had their part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fixtures.tiny_models import build
from tests.integration.cluster.machines import WITHIN_S, Machines, steps_of
from tests.unit.datasets.pictures_made import picture
from thornback.client import Client
from thornback.client.models import Job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def client(machines: Machines) -> Client:
    machines.add("second")
    return machines.up()


def test_trainings_span_two_nodes(
    client: Client, machines: Machines, config_of: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    nodes = {machines.node_id(name)[:8] for name in ("first", "second")}

    convnext = client.submit("over two", config_of(epochs=3))
    percents = watched(client, convnext)
    job = client.get(convnext.id)
    assert (job.status.value, job.attempt, job.facts["workers"]) == ("completed", 1, 2)
    assert set(job.facts["nodes"]) == nodes
    # 36 clips, two workers with 2 each: 9 steps an epoch, each told once, by one voice
    assert list(steps_of(client, job.id)) == [(epoch, step) for epoch in (1, 2, 3) for step in range(1, 10)]
    assert percents == sorted(percents)
    assert percents[-1] == 100

    lora = client.submit("LoRA over two", lora_config(tmp_path), kind="lora")
    percents = watched(client, lora)
    job = client.get(lora.id)
    assert (job.status.value, job.attempt, job.facts["workers"]) == ("completed", 1, 2)
    assert set(job.facts["nodes"]) == nodes
    rows = client.metrics(job.id, level="step")
    assert [row.batch for row in rows if row.phase == "train"] == [1, 2, 3, 4, 5, 6]
    told = [row.extra for row in rows if row.phase == "train"]
    for extra in told:  # each rank's own time, and the slowest as the step's
        ranks = [extra[f"seconds_per_step_rank_{rank}"] or 0.0 for rank in (0, 1)]
        assert extra["seconds_per_step"] == max(ranks) > 0
    assert percents == sorted(percents)


def watched(client: Client, job: Job) -> list[float]:
    """The percentages that a client was shown, to the end."""
    percents = [update.job.progress_percent for update in client.watch(job.id)]
    assert client.wait(job.id, timeout_s=WITHIN_S).status.value == "completed", client.get(job.id).error_message
    return percents


def lora_config(folder: Path) -> dict[str, Any]:
    """Six steps on four pictures with a tiny FLUX.1."""
    torch.set_num_threads(1)
    images = folder / "images"
    images.mkdir()
    for number in range(4):
        (images / f"{number}.png").write_bytes(picture("PNG", (64 + number, 64)))
        (images / f"{number}.txt").write_text(f"number {number}")
    return {
        "base_model": str(build("flux1", folder / "flux1")),
        "dataset": str(images),
        "resolution": [64],
        "rank": 4,
        "steps": 6,
        "save_every": 3,
        "log_every_steps": 1,
        "accelerator": "cpu",
        "devices": 2,
    }
