"""A driver in this process and its workers on Ray: losses are retried, exceptions are not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fixtures.ray import RayNode
from tests.integration.train.rig import DriverStory, in_background, make_driver, wait_until, weights_of, worker_pids
from tests.unit.train_jobs.helpers import make_tones, run, small_config
from thornback.jobs.events import Attempt
from thornback.jobs.status import FailureReason
from train_jobs.common import launch
from train_jobs.common.recovery import RECORD
from train_jobs.convnext.plan import RunPlan

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 clips of three classes."""
    torch.set_num_threads(1)
    return make_tones(tmp_path_factory.mktemp("tones"))


def test_a_killed_worker_costs_nothing_but_time(ray_node: RayNode, tones: Path, tmp_path: Path) -> None:
    config = small_config(tones, epochs=12, checkpoint_every_steps=3, dropout_rate=0.3, spec_augment=True)
    expected, _ = run(config, tmp_path / "whole")
    folder, story = tmp_path / "killed", DriverStory()
    driver = make_driver(config, folder, ray_node.settings(tmp_path), story)

    def kill() -> None:
        workers = wait_until(lambda: worker_pids(ray_node), "worker")  # asked first: Ray takes its time to answer
        wait_until(lambda: (folder / "train" / "epoch-0003").exists() or story.end, "third epoch")
        for pid in workers:
            os.kill(pid, signal.SIGKILL)

    with in_background(kill):
        code = driver.main()
    assert code == 0, story.end
    assert [(attempt, reason) for attempt, reason, _ in story.retries] == [(Attempt(1, 1), FailureReason.WORKER_LOST)]
    assert story.end is not None
    assert story.end[0] == "succeeded"
    best = expected.best
    assert best is not None
    exported = weights_of(folder)
    assert all(torch.equal(exported[name], tensor) for name, tensor in best.items())
    assert story.stages == ["checking data", "starting workers", "starting workers", "exporting"]
    # the best and the last are kept, and nothing else
    kept = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())
    assert "epoch-0012" in kept
    assert len(kept) <= 2
    assert {"model.safetensors", "model.onnx", "metrics.json", "confusion_matrix.csv"} <= story.artifacts.keys()

    # Told again, because nobody had heard it, without another look at Ray
    again = DriverStory()
    assert make_driver(config, folder, ray_node.settings(tmp_path), again).main() == 0
    assert again.end == story.end
    assert again.artifacts == story.artifacts
    assert again.stages == []


def test_an_exception_in_a_worker_ends_the_run_at_once(ray_node: RayNode, tones: Path, tmp_path: Path) -> None:
    story = DriverStory()
    config = small_config(tones)
    driver = make_driver(config, tmp_path, ray_node.settings(tmp_path), story, model_kwargs={"dims": "no numbers"})
    assert driver.main() == 1
    assert story.retries == []
    assert story.end is not None
    assert story.end[:2] == ("failed", FailureReason.EXCEPTION)


def test_bad_data_takes_no_worker(
    ray_node: RayNode, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: launch.Launcher, plan: RunPlan) -> None:
        raise AssertionError("workers were asked for")

    monkeypatch.setattr(launch.Launcher, "fit", refuse)
    cases: list[tuple[dict[str, Any], FailureReason, str]] = [
        ({"data": str(tmp_path / "nothing")}, FailureReason.INVALID_DATA, "there is no file or folder"),
        (
            {"pretrained": True, "pretrained_path": "/nothing.pth"},
            FailureReason.WEIGHTS_UNAVAILABLE,
            "set pretrained to false",
        ),
    ]
    for number, (changes, reason, text) in enumerate(cases):
        story = DriverStory()
        config = small_config(**{"data": tones, **changes})
        assert make_driver(config, tmp_path / str(number), ray_node.settings(tmp_path), story).main() == 1
        assert story.end is not None
        assert story.end[:2] == ("failed", reason)
        assert text in story.end[2]


@pytest.mark.slow
def test_two_workers_resume_exactly_too_and_a_damaged_record_does_not_stop_them(
    ray_node: RayNode, tones: Path, tmp_path: Path
) -> None:
    config = small_config(tones, epochs=30, devices=2, batch_size=2, checkpoint_every_steps=3, dropout_rate=0.3)
    settings = ray_node.settings(tmp_path)
    assert make_driver(config, tmp_path / "whole", settings, DriverStory()).main() == 0
    folder, story = tmp_path / "killed", DriverStory()

    def kill() -> None:
        wait_until(lambda: (folder / "train" / "epoch-0003").exists() or story.end, "third epoch")
        os.kill(worker_pids(ray_node)[0], signal.SIGKILL)
        record = folder / "train" / RECORD
        record.write_bytes(record.read_bytes()[:40])  # as if the controller had died while writing it

    with in_background(kill):
        assert make_driver(config, folder, settings, story).main() == 0
    assert len(story.retries) == 1
    expected, found = weights_of(tmp_path / "whole"), weights_of(folder)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_an_elastic_run_takes_what_is_free(ray_node: RayNode, tones: Path, tmp_path: Path) -> None:
    story = DriverStory()
    config = small_config(tones, epochs=2, devices=ray_node.cpus + 2, min_devices=1)
    assert make_driver(config, tmp_path, ray_node.settings(tmp_path), story).main() == 0
    assert story.end is not None
    assert story.end[0] == "succeeded"


@pytest.mark.slow
def test_retries_are_bounded(ray_node: RayNode, tones: Path, tmp_path: Path) -> None:
    story = DriverStory()
    config = small_config(tones, epochs=1000)
    driver = make_driver(config, tmp_path, ray_node.settings(tmp_path), story, attempt=Attempt(2))  # of 2 retries

    def newest() -> str:
        return max((path.parent.name for path in tmp_path.glob("train/epoch-*/state.json")), default="")

    def kill() -> None:
        for _ in range(2):
            before = newest()
            wait_until(lambda before=before: newest() > before, "checkpoint of these workers")  # type: ignore[misc]
            for pid in worker_pids(ray_node):
                os.kill(pid, signal.SIGKILL)

    with in_background(kill):
        assert driver.main() == 1
    assert [attempt for attempt, _, _ in story.retries] == [Attempt(2, 1)]
    assert story.end is not None
    assert story.end[:2] == ("failed", FailureReason.WORKER_LOST)
