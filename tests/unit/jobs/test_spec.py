"""What a job may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from thornback.errors import InvalidInput
from thornback.jobs.convnext import TrainingConfig
from thornback.jobs.spec import LoraSpec, RemoteLoraSpec, parse_spec


def test_the_documented_example_works_without_a_kind() -> None:
    spec = parse_spec(
        {
            "job_name": "My Training Job",
            "config": {
                "epochs": 100,
                "batch_size": 32,
                "learning_rate": 0.001,
                "model_architecture": "convnext_large",
            },
        }
    )
    assert (spec.kind, spec.backend, spec.total_epochs) == ("convnext", "ray", 100)


def test_documented_defaults() -> None:
    config = TrainingConfig()
    documented: dict[str, Any] = {
        "pretrained": True,
        "freeze_backbone": False,
        "batch_size": 32,
        "num_workers": 4,
        "validation_split": 0.2,
        "n_mels": 128,
        "n_fft": 2048,
        "hop_length": 512,
        "epochs": 100,
        "learning_rate": 0.001,
        "weight_decay": 0.0001,
        "dropout_rate": 0.2,
        "warmup_epochs": 5,
        "early_stop_patience": 10,
        "devices": 1,
        "min_snr_db": 10.0,
        "only_approved": True,
    }
    assert {name: getattr(config, name) for name in documented} == documented


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 513),
        ("num_workers", -1),
        ("num_workers", 17),
        ("validation_split", 0.51),
        ("epochs", 0),
        ("epochs", 1001),
        ("dropout_rate", 0.91),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("weight_decay", float("inf")),
        ("lr_scheduler", "exponential"),
        ("model_architecture", "resnet50"),
        ("accelerator", "tpu"),
        ("devices", 0),
        ("epochs", "many"),
        ("learning_rat", 0.1),
    ],
)
def test_a_bad_value_is_refused_and_named(field: str, value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_spec({"job_name": "run", "config": {field: value}})
    assert [error["field"] for error in caught.value.details["errors"]] == [f"config.{field}"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"config": {}}, "job_name"),
        ({"job_name": ""}, "job_name"),
        ({"job_name": "x" * 256}, "job_name"),
        ({"job_name": "run", "kind": "resnet"}, "kind"),
        ({"job_name": "run", "kind": 3}, "kind"),
        ({"job_name": "run", "priority": 101}, "priority"),
        ({"job_name": "run", "config": {"clip_seconds": 0.1}}, "config"),
        ({"job_name": "run", "config": {"devices": 1, "min_devices": 2}}, "config"),
        ({"job_name": "run", "config": {"epochs": 5, "warmup_epochs": 6}}, "config"),
        ({"job_name": "run", "config": {"n_fft": 1024, "hop_length": 2048}}, "config"),
    ],
)
def test_bad_bodies_name_the_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_spec(body)
    assert caught.value.details["errors"][0]["field"] == field


LORA: dict[str, Any] = {
    "kind": "lora",
    "job_name": "fox",
    "config": {"base_model": "black-forest-labs/FLUX.1-dev", "dataset": "s3://a"},
}


@pytest.mark.parametrize("named", [{}, {"backend": "ray"}])
def test_a_lora_without_a_backend_is_trained_here(named: dict[str, str]) -> None:
    spec = parse_spec({**LORA, **named})
    assert isinstance(spec, LoraSpec)
    assert (spec.backend, spec.total_epochs, spec.config.rank) == ("ray", 0, 16)
    assert parse_spec(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize("backend", ["replicate", "fal"])
def test_a_lora_at_a_provider_has_a_configuration_of_its_own(backend: str) -> None:
    assert isinstance(parse_spec({**LORA, "backend": backend, "config": {"dataset": "s3://a"}}), RemoteLoraSpec)
    with pytest.raises(InvalidInput, match=r"config\.base_model"):
        parse_spec({**LORA, "backend": backend})


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({**LORA, "backend": "modal"}, "backend: 'modal' cannot run kind lora; use ray, replicate or fal"),
        ({**LORA, "backend": ["ray"]}, "backend: ['ray'] cannot run kind lora; use ray, replicate or fal"),
        (
            {**LORA, "kind": "image_set", "backend": "ray"},
            "backend: 'ray' cannot run kind image_set; use replicate or fal",
        ),
        ({"job_name": "run", "backend": "fal"}, "backend: 'fal' cannot run kind convnext; use ray"),
        ({**LORA, "kind": "loar"}, "kind: 'loar' is unknown; use one of convnext, image_set, lora, sweep, video_lora"),
    ],
)
def test_a_backend_that_cannot_run_a_kind_is_refused_with_those_that_can(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_spec(body)
    assert caught.value.message == sentence


def test_a_lora_asks_for_as_many_gpus_as_it_has_devices() -> None:
    spec = parse_spec({**LORA, "config": {**LORA["config"], "devices": 4, "min_devices": 2, "epochs": 5}})
    request = spec.resources(cluster_has_gpu=True)
    assert (request.workers, request.min_workers, request.gpus, spec.total_epochs) == (4, 2, 1.0, 5)


def test_warm_up_gives_way_to_a_short_run() -> None:
    assert TrainingConfig(epochs=3).effective_warmup_epochs == 1
    assert TrainingConfig(epochs=1).effective_warmup_epochs == 0
    assert TrainingConfig(epochs=100).effective_warmup_epochs == 5


def test_a_stored_spec_is_read_back_as_it_was() -> None:
    spec = parse_spec({"job_name": "short", "config": {"epochs": 3}})

    assert parse_spec(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("accelerator", "cluster_has_gpu", "gpus"),
    [("auto", True, 1.0), ("auto", False, 0.0), ("gpu", False, 1.0), ("cpu", True, 0.0)],
)
def test_auto_takes_a_gpu_where_there_is_one(accelerator: str, cluster_has_gpu: bool, gpus: float) -> None:
    spec = parse_spec({"job_name": "run", "config": {"accelerator": accelerator, "devices": 2}})
    request = spec.resources(cluster_has_gpu=cluster_has_gpu)
    assert (request.workers, request.gpus, request.cpus) == (2, gpus, 1.0)
