from __future__ import annotations

from typing import Any

import pytest

from thornback.errors import InvalidInput
from thornback.jobs.spec import LoraSpec, RemoteLoraSpec, VideoLoraSpec, parse_spec
from thornback.jobs.video_lora import VideoLoraConfig, training_id


def spec(backend: str | None = None, **config: Any) -> VideoLoraSpec:
    body: dict[str, Any] = {"kind": "video_lora", "job_name": "A cat, filmed", "priority": 3, "tags": {"a": "b"}}
    if backend is not None:
        body["backend"] = backend
    body["config"] = {"video_url": "https://example.com/cat.mp4", "trigger_word": "TOK", **config}
    made = parse_spec(body)
    assert isinstance(made, VideoLoraSpec)
    return made


def test_the_first_backend_is_fal() -> None:
    assert spec().backend == "fal"


def test_its_training_at_a_provider() -> None:
    training = spec("replicate", steps=300, trainer="flux-dev-lora", destination="ada/cat").training("/data/set.zip")
    assert isinstance(training, RemoteLoraSpec)
    assert (training.backend, training.job_name, training.priority) == ("replicate", "A cat, filmed (training)", 3)
    assert training.tags == {"a": "b"}
    assert training.config.model_dump(exclude_none=True) == {
        "trainer": "flux-dev-lora",
        "dataset": "/data/set.zip",
        "trigger_word": "TOK",
        "captioning": "manual",
        "steps": 300,
        "destination": "ada/cat",
        "inputs": {},
    }


def test_its_training_on_this_cluster() -> None:
    made = spec("ray", base_model="/models/flux", training={"resolution": [64], "accelerator": "cpu"}, rank=4)
    training = made.training("s3://b/set.zip")
    assert isinstance(training, LoraSpec)
    config = training.config
    assert (config.base_model, config.rank, config.steps, config.resolution) == ("/models/flux", 4, 1000, [64])
    assert (config.dataset, config.trigger_word) == ("s3://b/set.zip", "TOK")


def test_epochs_instead_of_steps() -> None:
    config = spec("ray", base_model="/m", training={"epochs": 2}).training("x.zip").config.model_dump()
    assert (config["epochs"], config["steps"]) == (2, None)


@pytest.mark.parametrize(
    ("backend", "config", "message"),
    [
        ("ray", {}, "config.base_model: backend ray needs one"),
        ("ray", {"base_model": "/m", "trainer": "flux"}, "config.trainer: does not go together with backend ray"),
        ("fal", {"base_model": "/m"}, "config.base_model: does not go together with backend fal"),
        ("ray", {"base_model": "/m", "training": {"rank": 4}}, "config.training.rank: give it as config.rank"),
        ("ray", {"base_model": "/m", "training": {"dataset": "x"}}, "config.training.dataset: is made from the video"),
        ("ray", {"base_model": "/m", "training": {"resolutio": [1]}}, "config.resolutio: Extra inputs"),
        ("fal", {"learning_rate": 5.0}, "config.learning_rate: Input should be less than or equal to 1"),
        ("fal", {"frames": {"least": 9, "most": 3}}, r"least \(9\) is more than most \(3\)"),
        ("fal", {"captions": {"method": "blip"}}, "blip needs a model"),
        ("fal", {"captions": {"method": "http"}}, "http needs a url"),
        ("fal", {"model": "a/b"}, "config.model: String should match pattern"),
        ("modal", {}, "'modal' cannot run kind video_lora; use fal, replicate or ray"),
    ],
)
def test_what_cannot_work_is_refused_at_once(backend: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        spec(backend, **config)


def test_it_takes_no_cores_of_its_own() -> None:
    request = spec().resources(cluster_has_gpu=True)
    assert (request.workers, request.cpus, request.gpus) == (1, 0.0, 0.0)


def test_a_training_has_one_id_for_all_times() -> None:
    first = training_id("0192f0c1-2345-7000-8000-000000000001")
    assert first == training_id("0192f0c1-2345-7000-8000-000000000001")
    assert first != training_id("0192f0c1-2345-7000-8000-000000000002")


@pytest.mark.parametrize(
    ("model", "job_name", "name"),
    [("cat", "x", "cat"), (None, "A cat, filmed", "A-cat-filmed"), (None, "///", "lora")],
)
def test_the_model_is_called_after_the_job(model: str | None, job_name: str, name: str) -> None:
    config = VideoLoraConfig(video_url="x", trigger_word="y", model=model)
    assert config.model_name(job_name) == name
