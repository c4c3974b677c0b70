from __future__ import annotations

from typing import Any

import pytest

from tests.unit.providers.make import ZIP, image_set, lora
from thornback.errors import InvalidInput
from thornback.providers.catalogue import Catalogue, load_catalogue
from thornback.providers.entry import Trainer
from thornback.settings import Settings


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load_catalogue(Settings(home=tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize(
    ("provider", "name", "expected"),
    [
        ("replicate", "flux-dev-lora", {"input_images": ZIP, "trigger_word": "ADA", "steps": 700}),
        (
            "replicate",
            "fast-flux",
            {"input_images": ZIP, "trigger_word": "ADA", "training_steps": 700, "lora_type": "subject"},
        ),
        ("fal", "flux-lora-fast", {"images_data_url": ZIP, "trigger_word": "ADA", "steps": 700}),
        ("fal", "flux-lora-portrait", {"images_data_url": ZIP, "trigger_phrase": "ADA", "steps": 700}),
        ("fal", "wan", {"training_data_url": ZIP, "trigger_phrase": "ADA", "number_of_steps": 700}),
        ("fal", "wan-22-t2v", {"training_data_url": ZIP, "trigger_phrase": "ADA", "number_of_steps": 700}),
        ("fal", "wan-22-image", {"training_data_url": ZIP, "trigger_phrase": "ADA", "steps": 700}),
        ("fal", "turbo-flux", {"images_data_url": ZIP, "trigger_phrase": "ADA", "steps": 700}),
        ("fal", "qwen-image", {"image_data_url": ZIP, "default_caption": "ADA", "steps": 700}),
    ],
)
def test_our_fields_under_each_trainers_names(
    catalogue: Catalogue, provider: str, name: str, expected: dict[str, Any]
) -> None:
    trainer = catalogue.trainer(provider, name)
    sent = trainer.inputs_for(lora(trigger_word="ADA", steps=700), ZIP)
    assert sent == expected
    told = trainer.fields_of(sent)
    assert (told["dataset"], told["trigger_word"], told["steps"]) == (ZIP, "ADA", 700)


def test_every_trainer_is_tested_above(catalogue: Catalogue) -> None:
    assert len([row for row in catalogue.list() if isinstance(row, Trainer)]) == 9


def test_the_steps_are_always_said(catalogue: Catalogue) -> None:
    """What they cost and how far they are must not depend on a default that may change."""
    assert catalogue.trainer("fal", "wan").inputs_for(lora(), ZIP)["number_of_steps"] == 400


def test_captioning_is_several_inputs_and_back(catalogue: Catalogue) -> None:
    trainer = catalogue.trainer("replicate")
    sent = trainer.inputs_for(lora(captioning="automatic", rank=32, learning_rate=1e-4), ZIP)
    assert (sent["autocaption"], sent["lora_rank"], sent["learning_rate"]) == (True, 32, 1e-4)
    assert trainer.fields_of(sent)["captioning"] == "automatic"
    assert trainer.fields_of({"steps": 5})["captioning"] is None


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("replicate/flux-dev-lora", {"steps": 2}, "config.steps: 2 is outside 3 to 6000"),
        ("replicate/flux-dev-lora", {"steps": 6001}, "config.steps: 6001 is outside 3 to 6000"),
        ("replicate/flux-dev-lora", {"rank": 129}, "config.rank: 129 is outside 1 to 128"),
        ("replicate/flux-dev-lora", {"resolution": "big"}, "config.resolution: 'big' does not look like"),
        ("replicate/flux-dev-lora", {"seed": 1}, "config.seed: the trainer flux-dev-lora has no such input; it has"),
        ("fal/wan", {"steps": 50}, "config.steps: 50 is outside 100 to 20000"),
        ("fal/wan", {"captioning": "manual"}, "config.captioning: the trainer wan cannot do manual; leave it out"),
        ("fal/qwen-image", {"captioning": "automatic"}, "cannot do automatic; it has manual"),
        ("replicate/fast-flux", {}, "config.trigger_word: the trainer fast-flux needs it"),
        ("replicate/flux-dev-lora", {"inputs": {"batch_size": 0}}, "config.inputs.batch_size: 0 is outside 1 or more"),
        ("replicate/flux-dev-lora", {"inputs": {"batch_size": True}}, "config.inputs.batch_size: it must be a whole"),
        ("replicate/flux-dev-lora", {"inputs": {"steps": "many"}}, "config.inputs.steps: it must be a whole number"),
        ("replicate/flux-dev-lora", {"steps": 9, "inputs": {"steps": 8}}, "config.inputs.steps: config.steps has set"),
        ("replicate/flux-dev-lora", {"inputs": {"input_images": "https://x/y"}}, "config.dataset has set it"),
        ("replicate/fast-flux", {"trigger_word": "A", "inputs": {"lora_type": "face"}}, "has set it"),
        ("fal/turbo-flux", {"inputs": {"training_style": "face"}}, "'face' is none of subject, style"),
        ("fal/wan", {"inputs": {"new": float("nan")}}, "config.inputs.new: it must be a finite number"),
    ],
)
def test_a_bad_value_is_refused_before_anything_is_paid(
    catalogue: Catalogue, name: str, fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        catalogue.trainer(*name.split("/")).inputs_for(lora(**fields), ZIP)
    assert told in caught.value.message
    assert caught.value.details["errors"][0]["field"].startswith("config.")


def test_a_dataset_must_be_an_address_by_then(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match=r"config\.dataset: it must be an http\(s\) address"):
        catalogue.trainer("fal").inputs_for(lora(), "/home/me/set.zip")


def test_inputs_that_the_catalogue_does_not_know_are_passed_on(catalogue: Catalogue) -> None:
    sent = catalogue.trainer("fal").inputs_for(lora(inputs={"brand_new": {"a": [1, 2]}, "create_masks": False}), ZIP)
    assert (sent["brand_new"], sent["create_masks"]) == ({"a": [1, 2]}, False)


@pytest.mark.parametrize(
    ("provider", "fields", "expected"),
    [
        ("replicate", {"aspect_ratio": "16:9"}, {"num_outputs": 1, "aspect_ratio": "16:9"}),
        ("fal", {"aspect_ratio": "16:9"}, {"num_images": 1, "image_size": "landscape_16_9"}),
        ("fal", {"width": 640, "height": 512}, {"num_images": 1, "image_size": {"width": 640, "height": 512}}),
    ],
)
def test_one_image(catalogue: Catalogue, provider: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    model = catalogue.image_model(provider)
    sent = model.inputs_for(image_set(**fields), "a portrait", 7)
    assert sent == {"prompt": "a portrait", "seed": 7, **expected}
    assert model.fields_of(sent).items() >= {"prompt": "a portrait", "seed": 7, **fields}.items()
    assert "seed" not in model.inputs_for(image_set(**fields), "a portrait", None)


@pytest.mark.parametrize(
    ("provider", "fields", "told"),
    [
        ("replicate", {"aspect_ratio": "7:5"}, "config.aspect_ratio: '7:5' is none of 1:1"),
        ("replicate", {"width": 512, "height": 512}, "config.width: the model flux-schnell has no such input"),
        ("replicate", {"inputs": {"num_outputs": 4}}, "config.inputs.num_outputs: the model flux-schnell has set it"),
        ("fal", {"aspect_ratio": "7:5"}, "config.aspect_ratio: '7:5' is none of 1:1"),
        ("fal", {"width": 512}, "config.height: give it together with config.width"),
        ("fal", {"aspect_ratio": "1:1", "width": 512, "height": 512}, "config.aspect_ratio: config.height says it"),
    ],
)
def test_a_size_that_the_model_cannot_do(
    catalogue: Catalogue, provider: str, fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        catalogue.image_model(provider).inputs_for(image_set(**fields), "p", None)
    assert told in caught.value.message


def test_weights_are_found_in_the_output(catalogue: Catalogue) -> None:
    output = {"diffusers_lora_file": {"url": "https://a/l.safetensors"}, "config_file": {"url": "https://a/c.json"}}
    trainer = catalogue.trainer("fal")
    assert trainer.weights_of(output) == ("https://a/l.safetensors",)
    assert trainer.extras_of(output) == ("https://a/c.json",)
    assert trainer.weights_of(None) == ()
    assert trainer.weights_of({"diffusers_lora_file": "gone"}) == ()
