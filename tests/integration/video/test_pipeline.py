"""From a video to a version, on real drivers: at simulated providers and on this Ray."""

from __future__ import annotations

import re
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fixtures.s3 import S3Server
from tests.fixtures.tiny_models import build
from tests.integration.dispatch.rig import Rig, eventually
from tests.integration.video.conftest import SCENES, MakeRig
from tests.integration.video.rig import (
    PATIENCE_S,
    assert_whole,
    body,
    dataset_of,
    ended,
    percents,
    post,
    stages,
    version_of,
)
from thornback.artifacts.files import join
from thornback.backends.port import Phase
from thornback.datasets.frame_folder import FrameFolder
from thornback.datasets.frame_set import FrameEdit
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason, JobStatus
from thornback.jobs.video_stages import IN_ORDER, VideoStage
from thornback.jobs.wishes import Wish, check_wish
from thornback.metrics.names import METRICS_ACTOR
from thornback.simulator.server import SimulatorServer
from train_jobs.video_lora.run import work_folder

REVIEW = VideoStage.REVIEW

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("backend", ["fal", pytest.param("replicate", marks=pytest.mark.slow)])
async def test_at_a_provider(rig: Rig, clip: Path, fast_simulator: SimulatorServer, backend: str) -> None:
    job = await ended(rig, await post(rig, body(clip, backend)))
    version = assert_whole(rig, job, scenes=SCENES)
    assert len(list(fast_simulator.orders)) == 1
    assert (version.model, version.version) == ("fish", 1)
    assert dict(version.config) | {"trigger": "TOK", "steps": 60, "frame_count": SCENES} == dict(version.config)
    shown = percents(rig, job.id)
    assert shown == sorted(shown)
    told = stages(rig, job.id)
    assert [stage for stage in IN_ORDER if stage in told] == [stage for stage in IN_ORDER if stage is not REVIEW]


@pytest.mark.slow
async def test_on_this_cluster(rig: Rig, clip: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    model = build("flux1", tmp_path / "flux1")
    training = {"resolution": [64], "accelerator": "cpu", "sample_steps": 1, "save_every": 2, "log_every_steps": 1}
    spec = body(clip, "ray", base_model=str(model), training=training, steps=4, rank=2)
    job = await ended(rig, await post(rig, spec))
    version = assert_whole(rig, job, scenes=SCENES)
    assert dict(version.config) | {"steps": 4, "rank": 2, "base_model": str(model), "frame_count": SCENES} == dict(
        version.config
    )
    [part] = rig.reader.parts(job.id)
    assert [row.batch for row in rig.reader.metrics(part.id, level="step")] == [1, 2, 3, 4]
    assert await rig.all_free()


@pytest.mark.slow
async def test_killed_in_each_stage(rig: Rig, clip: Path, fast_simulator: SimulatorServer) -> None:
    # Fetching, scenes, frames, the dataset twice, its storing, the order, the training, its LoRA, its version.
    kills = [0, 10, 21, 36, 45, 52, 60, 65, 85.5, 95.5]
    spec = body(clip, "replicate", tags={"kill": ",".join(map(str, kills))}, steps=300)
    job = await ended(rig, await post(rig, spec), within_s=500)
    assert_whole(rig, job, scenes=SCENES)
    marks = {path.name for path in (rig.settings.home / "accidents" / job.id).iterdir()}
    assert marks == {f"killed-{at:g}" for at in kills}
    assert job.attempt == len(kills) + 1
    assert len(list(fast_simulator.orders)) == 1  # paid once
    shown = percents(rig, job.id)
    assert shown[-1] > 95


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 10, 36, 51, 60, 70])
async def test_cancelled_in_each_stage(rig: Rig, clip: Path, fast_simulator: SimulatorServer, at: float) -> None:
    spec = body(clip, "replicate", tags={"hold": str(at)}, steps=6000)
    job_id = await post(rig, spec)
    await rig.until(job_id, lambda job: job.progress >= at and job.started_at, within_s=PATIENCE_S)
    await rig.cancel(job_id)
    job = await ended(rig, job_id)
    assert job.status is JobStatus.CANCELLED, job.error_message
    assert job.attempt == 1
    assert not (Path(rig.settings.storage) / "temp" / job_id).exists()
    for part in rig.reader.parts(job_id):
        assert (await ended(rig, part.id)).status is JobStatus.CANCELLED
    await eventually(lambda: all(order.is_final for order in fast_simulator.orders), "nothing goes on at the provider")
    await eventually(rig.all_free, "its cores are free")


@pytest.mark.slow
async def test_reviewed_by_a_person(rig: Rig, clip: Path) -> None:
    job_id = await post(rig, body(clip, review=True))
    waiting = await rig.until(job_id, lambda job: job.is_parked, within_s=PATIENCE_S)
    assert (waiting.status, waiting.waits_for) == (JobStatus.PENDING, REVIEW.value)
    assert rig.reader.parts(job_id) == []
    assert not work_folder(rig.settings, job_id).exists()

    async def has_ended() -> bool:
        return not (await rig.phase(waiting)).is_alive

    await eventually(has_ended, "its driver has ended by itself")
    assert await rig.phase(waiting) is Phase.SUCCEEDED
    assert waiting.fact("dataset_size") == SCENES
    check_wish(Wish.APPROVE, waiting)
    folder = FrameFolder(join(rig.settings.storage, "datasets", "ada", job_id))
    frames = folder.read()
    first, second, *rest = frames.kept
    folder.edit({first.id: FrameEdit(kept=False), second.id: FrameEdit(caption="TOK up close")}, revision=1)

    await rig.recorder.record([EventFactory(job_id).asked(Wish.APPROVE, user="ada", at=datetime.now(UTC))])
    job = await ended(rig, job_id)
    assert job.status is JobStatus.COMPLETED, job.error_message
    assert job.attempt == 2
    version = version_of(rig, job_id)
    assert version is not None
    assert version.config["frame_count"] == len(rest) + 1
    with zipfile.ZipFile(folder.zip_uri) as archive:
        assert first.file not in archive.namelist()
        assert archive.read(f"{second.id}.txt") == b"TOK up close"


@pytest.mark.slow
async def test_a_training_that_fails_fails_the_pipeline(rig: Rig, clip: Path, fast_simulator: SimulatorServer) -> None:
    fast_simulator.faults.add("fail", on="replicate.trainings.create")
    job = await ended(rig, await post(rig, body(clip, "replicate")))
    [part] = rig.reader.parts(job.id)
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.PROVIDER_FAILED)
    assert part.error_message is not None
    assert job.error_message == f"training: {part.error_message} (training {part.id})"
    assert version_of(rig, job.id) is None
    assert not (Path(rig.settings.storage) / "temp" / job.id).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("video", "changes", "message"),
    [
        ("missing.mp4", {}, "fetching the video: .*missing.mp4"),
        ("text.mp4", {}, "fetching the video: .*"),
        (
            "fish.mp4",
            {"frames": {"least": 50}},
            r"making the dataset: .*only 6 are good enough and 50 are needed.*give",
        ),
        ("fish.mp4", {"quality": {"faces": True}}, "making the dataset: .*THORNBACK_FACE_MODEL"),
    ],
)
async def test_what_cannot_become_a_dataset_says_so(
    rig: Rig, clip: Path, tmp_path: Path, video: str, changes: dict[str, Any], message: str
) -> None:
    (tmp_path / "text.mp4").write_text("this is no video\n" * 100)
    shutil.copy(clip, tmp_path / "fish.mp4")
    job = await ended(rig, await post(rig, body(tmp_path / video, **changes)))
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.INVALID_DATA)
    assert re.match(message, str(job.error_message)), job.error_message
    assert rig.reader.parts(job.id) == []
    assert job.attempt == 1


@pytest.mark.slow
async def test_a_video_seen_before_is_not_analysed_again(rig: Rig, clip: Path) -> None:
    first = await ended(rig, await post(rig, body(clip)))
    second = await ended(rig, await post(rig, body(clip, captions={"template": "[trigger] swims"})))
    versions = [version_of(rig, job.id) for job in (first, second)]
    assert [version and version.version for version in versions] == [1, 2]
    lines = [line for chunk in rig.reader.logs(second.id) for line in chunk.lines]
    assert f"{SCENES} frames are known from an earlier analysis of this video" in lines
    assert {frame.caption for frame in dataset_of(rig, second.id).kept} == {"TOK swims"}
    # By the first run it is known how long everything takes.
    told = [
        event.data["eta_seconds"] for event in rig.reader.events(0, job_id=second.id) if "eta_seconds" in event.data
    ]
    assert told[0] is not None


@pytest.mark.slow
async def test_with_its_storage_on_s3(make_rig: MakeRig, clip: Path, s3: S3Server) -> None:
    rig = make_rig(storage=s3.uri(s3.make_bucket(), "platform"))
    spec = body(clip, "replicate", tags={"kill": "36,60"}, steps=300)
    job = await ended(rig, await post(rig, spec))
    assert_whole(rig, job, scenes=SCENES)
    [training] = rig.reader.parts(job.id)
    # Without the address of the storage, which holds a key to it.
    assert training.spec["config"]["dataset"] == f"stored:datasets/ada/{job.id}/dataset.zip"


@pytest.mark.slow
async def test_so_many_at_once_fill_no_disk(make_rig: MakeRig, clip: Path, tmp_path: Path) -> None:
    rig = make_rig(video_slots=1)
    gate = {"hold": "36", "gate": str(tmp_path / "gate")}
    jobs = [await post(rig, body(clip, tags=gate))]
    await rig.until(jobs[0], lambda job: job.progress >= 36, within_s=PATIENCE_S)
    jobs += [await post(rig, body(clip)) for _ in range(2)]
    for job_id in jobs[1:]:
        waiting = await rig.until(job_id, lambda job: job.stage is not None, within_s=PATIENCE_S)
        assert re.match(r"waiting for its turn: (1 other video|2 other videos) first", str(waiting.stage))
        assert not (Path(rig.settings.storage) / "temp" / job_id).exists()
    (tmp_path / "gate").touch()
    versions = [assert_whole(rig, await ended(rig, job_id), scenes=SCENES).version for job_id in jobs]
    assert sorted(versions) == [1, 2, 3]


@pytest.mark.slow
async def test_the_metrics_actor_dies_while_it_trains(rig: Rig, clip: Path, fast_simulator: SimulatorServer) -> None:
    job_id = await post(rig, body(clip, "replicate", steps=3000))
    await rig.until(job_id, lambda job: job.progress > 62, within_s=PATIENCE_S)
    rig.kill_actor(METRICS_ACTOR)
    job = await ended(rig, job_id)
    assert_whole(rig, job, scenes=SCENES)
    assert job.attempt == 1
    assert len(list(fast_simulator.orders)) == 1
