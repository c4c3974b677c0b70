"""`python -m train_jobs.convnext --config my.json`, as somebody runs it without the platform."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.fixtures.ray import RayNode
from tests.integration.train.rig import finish, start_process, wait_until
from tests.unit.train_jobs.helpers import make_tones, small_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def write_config(folder: Path, epochs: int) -> Path:
    config = small_config(make_tones(folder / "tones"), epochs=epochs)
    path = folder / "my.json"
    path.write_text(json.dumps(config.model_dump(mode="json", exclude_unset=True)))
    return path


def test_it_is_stopped_by_sigterm_at_a_checkpoint_and_goes_on(ray_node: RayNode, tmp_path: Path) -> None:
    arguments = ("--config", str(write_config(tmp_path, epochs=300)), "--output", str(tmp_path / "out"))
    settings = ray_node.settings(tmp_path)
    process = start_process(ray_node, settings, *arguments)
    train = tmp_path / "out" / "train"
    wait_until(lambda: (train / "epoch-0003").exists() or process.poll() is not None, "third epoch")
    process.send_signal(signal.SIGTERM)
    code, output = finish(process)
    assert code == 128 + signal.SIGTERM, output
    assert "stopping on request in epoch" in output
    stopped = [path.name for path in train.iterdir() if path.name.startswith("step-")]
    assert len(stopped) == 1

    code, output = finish(start_process(ray_node, settings, *arguments))
    assert code == 0, output
    assert "going on from epoch" in output
    assert "epoch 300/300" in output
    assert "== done" in output
    assert (tmp_path / "out" / "model.onnx").exists()


def test_a_wrong_configuration_is_told_without_starting_ray(ray_node: RayNode, tmp_path: Path) -> None:
    path = tmp_path / "my.json"
    for text, problem in (
        ('{"epochs": 0}', "config.epochs"),
        ("{", "cannot be read"),
        ("[]", "holds no JSON object"),
    ):
        path.write_text(text)
        code, output = finish(start_process(ray_node, ray_node.settings(tmp_path), "--config", str(path)))
        assert code == 2
        assert problem in output
