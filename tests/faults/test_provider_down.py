"""A provider that is away for an hour; an hour lasts four seconds here, and so does everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.unit.remote.rig import LORA, Rig, now, until
from thornback.jobs.status import JobStatus
from thornback.providers.breaker import OPEN_S, Breaker
from thornback.providers.open import open_provider
from thornback.remote.schedule import Pace
from thornback.settings import Settings
from thornback.simulator.scenario import Scenario
from thornback.simulator.server import SimulatorServer

FASTER = 900.0  # an hour in four seconds
HOUR_S = 3600 / FASTER
IMAGES = 4
SET = {"character": "ada", "prompts": ["front view", "in profile"], "count": IMAGES}


def quicker() -> Pace:
    """The tracker's own pace, its seconds divided."""
    own = Pace()
    seconds = {name: getattr(own, name) / FASTER for name in Pace.__slots__ if name.endswith("_s")}
    return replace(own, **seconds)


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    """One that keeps what it made for a day."""
    with SimulatorServer(Scenario(speed=FASTER, output_ttl_s=86_400)) as server:
        yield server


@pytest.fixture
async def rig(simulator: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """A tracker over the official client and real HTTP."""
    defaults: dict[str, Any] = {**(Breaker.__init__.__kwdefaults__ or {}), "open_s": OPEN_S / FASTER}
    monkeypatch.setattr(Breaker.__init__, "__kwdefaults__", defaults)
    values: dict[str, Any] = {
        "replicate_api_token": simulator.replicate_token,
        "replicate_url": simulator.url,
        "provider_settle_s": 60 / FASTER,
        "provider_start_s": 7200 / FASTER,
        "provider_run_s": 86_400 / FASTER,
        "fetch_allow": "127.0.0.1",
    }
    provider = open_provider("replicate", Settings(home=tmp_path, **values), now)
    rig = Rig(tmp_path, provider=provider, pace=quicker(), **values)
    rig.start()
    yield rig
    await rig.close()


async def order(rig: Rig, folder: Path) -> list[str]:
    """A training and a set of images."""
    config = {**LORA["config"], "dataset": str(folder), "steps": 300}
    config.pop("destination")
    lora = await rig.order({**LORA, "config": config})
    return [lora, await rig.order({"job_name": "Ada", "kind": "image_set", "backend": "replicate", "config": SET})]


ALL = ("*.create", "*.get", "*.list", "*.upload", "*.cancel", "*.output.download")  # all but the simulator's own


@pytest.mark.slow
@pytest.mark.parametrize("calls", [ALL, ("*.output.download",)])
async def test_every_job_ends_well_and_is_paid_once(
    rig: Rig, simulator: SimulatorServer, tmp_path: Path, calls: tuple[str, ...]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / f"{number}.png")
    jobs = await order(rig, folder)
    await rig.until(jobs[0], lambda job: job.fact("provider_id"), "sent")

    for call in calls:
        simulator.faults.add("drop", on=call, times=None)
    before = len(simulator.requests)
    jobs += await order(rig, folder)
    await asyncio.sleep(HOUR_S)
    asked = len(simulator.requests) - before
    simulator.faults.clear()

    await until(lambda: all(rig.job(job_id).final for job_id in jobs), "all have ended", within_s=120)
    for job in map(rig.job, jobs):
        assert job.status is JobStatus.COMPLETED, job.error_message
    assert len(list(simulator.orders)) == 2 + 2 * IMAGES
    if calls is not ALL:
        return
    # five until the breaker opens, then one in 30 s; and what was under way
    assert asked <= 5 + 3600 / OPEN_S + 10
