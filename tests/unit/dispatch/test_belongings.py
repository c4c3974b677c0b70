"""What goes with a job, and what stays."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.unit.dispatch.make import NOW
from tests.unit.dispatch.world import World
from thornback.artifacts import layout
from thornback.artifacts.files import join, locate
from thornback.dispatch import sweeper
from thornback.dispatch.sweeper import Sweeper
from thornback.errors import JobNotFound
from thornback.metrics.port import Recorder
from thornback.models.publish import publish_version


async def ended(world: World, **choices: Any) -> str:
    job_id = await world.running("pipeline", **choices)
    await world.order(job_id, "succeed")
    return job_id


def put(*uris: str) -> list[Path]:
    for uri in uris:
        locate(uri).write_bytes(b"x")
    return [Path(uri) for uri in uris]


async def publish(world: World, job_id: str, weights: Path) -> int:
    recorder: Recorder = world.recorder
    version = await publish_version(
        recorder,
        world.settings,
        model="mira",
        user="ada",
        job_id=job_id,
        weights_uri=str(weights),
        config={},
        lineage={},
        now=NOW,
    )
    return version.version


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A safetensors file of one tensor."""
    path = tmp_path / "lora.safetensors"
    header = b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"abcd")
    return path


async def test_all_of_a_job_goes_and_nothing_of_others(world: World, weights: Path) -> None:
    storage = world.settings.storage
    gone, other = await ended(world), await ended(world)
    places = [
        [
            join(layout.dataset_uri(storage, "ada", job_id), "images", "1.jpg"),
            join(layout.temp_uri(storage, job_id), "video.mp4"),
            join(layout.lora_uri(storage, "ada", job_id, 7), "model.safetensors"),
            join(layout.model_uri(storage, "ada", job_id, 7), "model.onnx"),
        ]
        for job_id in (gone, other)
    ]
    going, staying = put(*places[0]), put(*places[1])
    assert await publish(world, gone, weights) == 1
    await world.cancel(gone, delete=True)
    await world.tick()
    with pytest.raises(JobNotFound):
        world.job(gone)
    assert not any(path.exists() for path in going)
    assert not locate(layout.loras_uri(storage, "ada", gone)).exists()
    assert all(path.exists() for path in staying)


async def test_a_version_in_use_stays(world: World, weights: Path) -> None:
    storage = world.settings.storage
    job_id = await ended(world)
    number = await publish(world, job_id, weights)
    left = put(join(layout.lora_uri(storage, "ada", job_id, 7), "model.safetensors"))
    await world.recorder.set_alias(user="ada", model="mira", alias="production", version=number, by="ada", at=NOW)
    await world.cancel(job_id, delete=True)
    await world.tick()
    with pytest.raises(JobNotFound):
        world.job(job_id)
    kept = locate(layout.lora_uri(storage, "ada", job_id, number))
    assert [entry.path for entry in kept.files()] == ["config.json", "model.safetensors"]
    assert (kept / "model.safetensors").read_bytes() == locate(str(weights)).read_bytes()
    assert not left[0].exists()


async def test_the_sweeper_outlives_its_faults(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def failing(storage: str, **_: object) -> None:
        seen.append(storage)
        if len(seen) == 3:
            loop.call_soon_threadsafe(done.set)
        raise OSError("full") if len(seen) == 1 else RuntimeError("broken")

    monkeypatch.setattr(sweeper, "sweep", failing)
    task = asyncio.create_task(
        Sweeper(settings=world.settings, reader=world.reader, now=lambda: NOW, interval_s=0.0).run()
    )
    await asyncio.wait_for(done.wait(), 20)
    assert not task.done()
    task.cancel()
    assert seen[:3] == [world.settings.storage] * 3


@pytest.mark.parametrize("end", ["lost", "stopped"])
async def test_what_a_driver_leaves_that_cannot_clean_up_goes_with_its_end(world: World, end: str) -> None:
    storage, home = world.settings.storage, world.settings.home
    job_id, other = await world.running("pipeline", max_retries=1), await world.running("other")
    mine, theirs = put(*(str(Path(layout.temp_uri(storage, id)) / "video.mp4") for id in (job_id, other)))
    assert layout.work_folder(storage, home, job_id) == mine.parent
    if end == "stopped":
        await world.backend.stop(str(world.job(job_id).submission_id))
        await world.tick()
    else:
        await world.order(job_id, "-9")
        await world.tick()
        await world.tick(seconds=60)
        assert mine.exists()  # the next attempt goes on with it
        await world.order(job_id, "-9")
        await world.tick()
    assert world.job(job_id).final is not None
    assert (mine.parent.exists(), theirs.exists()) == (False, True)


async def test_an_upload_goes_with_the_last_job_that_names_it(world: World) -> None:
    id = str(uuid.uuid4())
    [upload, other] = put(*(join(layout.uploads_uri(world.settings.storage), f"{name}.zip") for name in (id, "other")))
    first, second, third = [await ended(world, data=f"upload:{id}") for _ in range(3)]
    await world.cancel(first, delete=True)
    await world.tick()
    assert upload.exists()
    for job_id in (second, third):  # at once: neither waits for the other
        await world.cancel(job_id, delete=True)
    await world.tick()
    assert (upload.exists(), other.exists()) == (False, True)


async def test_an_upload_that_no_unfinished_job_needs_goes_by_its_age(world: World) -> None:
    ids = ["00000000-old", "00000000-new", "00000000-needed", "00000000-used"]
    paths = put(*(join(layout.uploads_uri(world.settings.storage), f"{id}.video") for id in ids))
    days = world.settings.upload_keep_days
    for path, age in zip(paths, (days + 1, days - 1, days + 1, days + 1), strict=True):
        then = world.now.timestamp() - age * 86_400
        os.utime(path, (then, then))
    await world.create("pipeline", data=f"upload:{ids[2]}")
    await ended(world, data=f"upload:{ids[3]}")
    await Sweeper(settings=world.settings, reader=world.reader, now=lambda: world.now).look()
    assert [path.exists() for path in paths] == [False, True, True, False]
