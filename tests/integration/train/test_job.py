"""`python -m train_jobs.convnext --job-id …` as the dispatcher starts it, with a metrics actor and a database."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import ray

from tests.fixtures.ray import RayNode
from tests.fixtures.s3 import S3Server
from tests.integration.train.rig import finish, start_process, wait_until
from tests.unit.train_jobs.helpers import make_tones, small_config
from thornback.artifacts.files import join, locate
from thornback.jobs.events import EventFactory
from thornback.jobs.spec import ConvNextSpec
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.names import METRICS_ACTOR
from thornback.metrics.port import NewJob
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Platform:
    """A metrics actor with its own namespace and SQLite file."""

    node: RayNode
    settings: Settings
    reader: StoreReader

    def create(self, config: Any, **changes: Any) -> str:
        spec = ConvNextSpec(job_name="tones", config=config, **changes)
        job_id = str(uuid.uuid4())
        new = NewJob(job_id=job_id, spec=spec.model_dump(mode="json"), user="ada", at=datetime.now(UTC))
        asyncio.run(connect(self.settings).create(new))
        return job_id

    def run(self, job_id: str, attempt: int = 1) -> tuple[int, str]:
        return finish(start_process(self.node, self.settings, "--job-id", job_id, "--attempt", str(attempt)))

    def cancel(self, job_id: str) -> None:
        event = EventFactory(job_id).cancel_requested(user="ada", at=datetime.now(UTC))
        asyncio.run(connect(self.settings).record([event]))

    def state(self, job_id: str) -> JobState:
        return self.reader.job(job_id).state


@pytest.fixture
def platform(ray_node: RayNode, tmp_path: Path) -> Iterator[Platform]:
    settings = ray_node.settings(tmp_path)
    yield from make_platform(ray_node, settings)


@pytest.fixture
def platform_on_s3(ray_node: RayNode, s3: S3Server, tmp_path: Path) -> Iterator[Platform]:
    settings = ray_node.settings(tmp_path, storage=s3.uri(s3.make_bucket(), "runs"))
    yield from make_platform(ray_node, settings)


def make_platform(node: RayNode, settings: Settings) -> Iterator[Platform]:
    upgrade(settings.database_url)
    actor = start_metrics_actor(settings)
    engine = open_engine(settings.database_url)
    yield Platform(node, settings, StoreReader(engine))
    engine.dispose()
    ray.kill(actor)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tones(tmp_path_factory.mktemp("tones"))


@pytest.mark.slow  # S3 has its contract, and two workers their tests
def test_a_job_on_two_workers_with_its_data_and_its_run_on_s3(
    platform_on_s3: Platform, s3: S3Server, tones: Path
) -> None:
    platform = platform_on_s3
    data = s3.uri(s3.make_bucket(), "tones")
    for file in tones.rglob("*.wav"):
        locate(join(data, file.relative_to(tones).as_posix())).upload(file)
    job_id = platform.create(small_config(data, epochs=2, devices=2))
    code, output = platform.run(job_id)
    assert code == 0, output

    state = platform.state(job_id)
    assert state.status is JobStatus.COMPLETED
    assert (state.current_epoch, state.progress_percent) == (2, 100.0)
    assert (state.fact("train_samples"), state.fact("val_samples"), state.fact("workers")) == (18, 6, 2)
    assert state.fact("class_names") == ["high", "low", "middle"]
    assert np.sum(state.fact("confusion_matrix")) == 6
    assert state.fact("amp").startswith("off: ")

    rows = platform.reader.metrics(job_id, level="epoch")
    assert [(row.epoch, row.phase, row.batch) for row in rows] == [(1, "val", None), (2, "val", None)]
    assert rows[-1].values["val_loss"] == state.metric("val_loss") is not None
    steps = platform.reader.metrics(job_id, level="all", phase="train")
    # 18 clips over two workers of 4 are 3 steps; rows at the very first, each second and each last
    assert [(row.epoch, row.batch) for row in steps] == [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3)]

    log = "\n".join(line for chunk in platform.reader.logs(job_id) for line in chunk.lines)
    assert log.count("epoch 2/2") == 1
    assert "24 of 24 clips kept" in log
    names = {artifact.type for artifact in state.artifacts.values()}
    assert names == {"checkpoint", "model", "onnx", "report", "tensorboard", "examples"}
    assert locate(join(str(state.artifact_uri("checkpoint")), "state.json")).exists()
    onnx_uri = state.artifact_uri("onnx")
    assert onnx_uri is not None
    session = onnxruntime.InferenceSession(locate(onnx_uri).read_bytes())
    (answers,) = session.run(None, {"waveform": np.zeros((3, 2000), dtype=np.float32)})
    assert answers.shape == (3, 3)
    assert locate(join(platform.settings.run_uri(job_id), "tensorboard")).files()

    assert platform.run(job_id, attempt=2)[0] == 0  # it is over: nothing to do
    assert platform.state(job_id).attempt == state.attempt


@pytest.mark.slow
def test_a_cancelled_job_leaves_a_checkpoint_and_no_end(platform: Platform, tones: Path) -> None:
    job_id = platform.create(small_config(tones, epochs=1000))
    process = start_process(platform.node, platform.settings, "--job-id", job_id, "--attempt", "1")
    wait_until(lambda: platform.state(job_id).current_epoch >= 2 or process.poll() is not None, "second epoch")
    platform.cancel(job_id)
    code, output = finish(process)
    assert code == 0, output
    state = platform.state(job_id)
    assert state.final is None  # the dispatcher has the last word
    checkpoint = state.artifact_uri("checkpoint")
    assert checkpoint is not None
    assert "/step-" in checkpoint
    assert locate(join(checkpoint, "state.json")).exists()
    assert platform.run(job_id, attempt=2)[0] == 0  # cancelled before it began


def test_bad_data_fails_the_job_with_its_reason(platform: Platform, tmp_path: Path) -> None:
    job_id = platform.create(small_config(tmp_path / "nothing"))
    code, _ = platform.run(job_id)
    assert code == 1
    state = platform.state(job_id)
    assert (state.status, state.failure) == (JobStatus.FAILED, FailureReason.INVALID_DATA)
    assert "there is no file or folder" in str(state.error_message)


@pytest.mark.slow
def test_a_killed_driver_is_followed_by_one_that_goes_on(platform: Platform, tones: Path) -> None:
    job_id = platform.create(small_config(tones, epochs=60, checkpoint_every_steps=3))
    process = start_process(platform.node, platform.settings, "--job-id", job_id, "--attempt", "1")
    wait_until(lambda: platform.state(job_id).current_epoch >= 5 or process.poll() is not None, "fifth epoch")
    process.send_signal(signal.SIGKILL)
    finish(process)
    code, output = platform.run(job_id, attempt=2)
    assert code == 0, output
    state = platform.state(job_id)
    assert state.status is JobStatus.COMPLETED
    assert state.fact("resumed_from_step") > 0
    rows = platform.reader.metrics(job_id, level="epoch")
    assert [row.epoch for row in rows] == list(range(1, 61))


@pytest.mark.slow
def test_the_end_that_nobody_hears_is_no_success(platform: Platform, tones: Path, tmp_path: Path) -> None:
    job_id = platform.create(small_config(tones, epochs=1))
    platform.settings.model_copy()
    process = start_process(platform.node, platform.settings, "--job-id", job_id, "--attempt", "1")
    wait_until(lambda: platform.state(job_id).current_epoch >= 1 or process.poll() is not None, "first epoch")
    ray.kill(ray.get_actor(METRICS_ACTOR, namespace=platform.settings.namespace))
    code, _ = finish(process)
    assert code == 3
    start_metrics_actor(platform.settings)
    assert platform.run(job_id, attempt=2)[0] == 0
    assert platform.state(job_id).status is JobStatus.COMPLETED
