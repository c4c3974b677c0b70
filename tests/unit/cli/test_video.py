"""video: a file is sent, an address goes as it is, and the job says what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.unit.cli.conftest import LiveApi
from thornback.media.sample_clip import write_sample_clip

Run = Callable[..., Result]


def job_of(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.stderr
    job: dict[str, Any] = json.loads(done.stdout)
    return job


def test_a_file_of_this_machine_is_sent_first(live: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "fish.mp4"
    write_sample_clip(file, scenes=1)
    done = run_cli("video", file, "-t", "TOK", "--backend", "ray", "--base-model", "/models/x", "--review", "--json")
    job = job_of(done)
    assert (job["kind"], job["backend"], job["job_name"]) == ("video_lora", "ray", "TOK")
    assert job["config"]["video_url"].startswith("upload:")
    assert job["config"]["review"] is True
    assert "a video of 1.5 s, 640 x 360" in done.stderr


def test_an_address_goes_as_it_is(live: LiveApi, run_cli: Run) -> None:
    options = ["--name", "A cat", "--model", "cat", "--steps", "50", "--set", "frames.most=20"]
    options += ["--backend", "ray", "--set", "base_model=/models/x", "--set", "training.resolution=[64]"]
    job = job_of(run_cli("video", "https://8.8.8.8/cat.mp4", "--trigger", "TOK", *options, "--json"))
    config = job["config"]
    assert (job["job_name"], config["model"], config["steps"]) == ("A cat", "cat", 50)
    assert (config["video_url"], config["frames"]["most"]) == ("https://8.8.8.8/cat.mp4", 20)
    assert config["training"] == {"resolution": [64]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cat.mp4"], "--trigger"),
        (["nowhere.mp4", "-t", "TOK", "--backend", "ray", "--base-model", "/m"], "a path must begin with /"),
        (["https://8.8.8.8/x.mp4", "-t", "TOK"], "fal is not set up here"),
        (["https://8.8.8.8/x.mp4", "-t", "TOK", "--backend", "ray"], "config.base_model"),
    ],
)
def test_what_cannot_work_is_said(live: LiveApi, run_cli: Run, arguments: list[str], words: str) -> None:
    done = run_cli("video", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
