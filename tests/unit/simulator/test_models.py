"""What it knows is what Thornback's catalogue can order."""

from __future__ import annotations

import pytest

from thornback.providers.catalogue import load_catalogue
from thornback.settings import Settings
from thornback.simulator.models import FAL, REPLICATE, ImageModel, Trainer, faults_of_input


def test_everything_in_the_catalogue_is_there() -> None:
    for entry in load_catalogue(Settings()).list():
        name, _, version = entry.endpoint.partition(":")
        if entry.provider == "fal":
            assert name in FAL
        else:
            assert version in (*REPLICATE[name].versions, "")


@pytest.mark.parametrize(
    ("inputs", "wrong"),
    [
        ({"images_data_url": "https://x", "steps": 1}, []),
        ({"steps": 10_001}, ["images_data_url", "steps"]),
        ({"images_data_url": "https://x", "steps": "many"}, ["steps"]),
        ({"images_data_url": "https://x", "lora_rank": 129}, ["lora_rank"]),
        ({"images_data_url": "https://x", "lora_rank": 0}, ["lora_rank"]),
    ],
)
def test_trainers_check_their_inputs(inputs: dict[str, object], wrong: list[str]) -> None:
    assert [fault["loc"][-1] for fault in faults_of_input(Trainer(), inputs, "body")] == wrong


def test_image_models_need_a_prompt() -> None:
    assert faults_of_input(ImageModel(), {"prompt": "a cat"}) == []
    assert faults_of_input(ImageModel(), {})[0]["msg"] == "field required"
