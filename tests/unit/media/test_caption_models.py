"""Florence-2 and BLIP by transformers, of a few random weights: whole ones speak, broken ones are refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch

from tests.fixtures.tiny_captioners import WORDS, build_blip, build_florence2
from tests.unit.datasets.pictures_made import picture
from thornback.datasets.captions.tidy import problem_of, tidied
from thornback.datasets.captions.write import write_captions
from thornback.errors import DataError, WeightsUnavailable
from thornback.jobs.video_lora import CaptionOptions
from thornback.media.caption_models import Architecture, ModelCaptioner

BUILDERS: dict[Architecture, Callable[[Path], Path]] = {"florence2": build_florence2, "blip": build_blip}


@pytest.fixture(scope="module", params=["florence2", "blip"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Architecture, Path]:
    architecture: Architecture = request.param
    return architecture, BUILDERS[architecture](tmp_path_factory.mktemp(architecture))


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.jpg" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(picture("JPEG", (64 + 40 * number, 80)))
    return paths


def test_it_speaks(model: tuple[Architecture, Path], images: list[Path]) -> None:
    architecture, folder = model
    captioner = ModelCaptioner(architecture, str(folder), device="cpu")
    together = captioner.describe(images[:2])
    assert together[1:] == captioner.describe(images[1:2])
    assert all(together)
    assert folder.name in captioner.name


def test_random_words_are_captions_and_random_bytes_are_not(
    model: tuple[Architecture, Path], images: list[Path]
) -> None:
    architecture, folder = model
    captioner = ModelCaptioner(architecture, str(folder), device="cpu")
    if architecture == "blip":  # it knows only whole words
        captions = write_captions(images, CaptionOptions(), "ohwx", captioner=captioner)
        assert {caption.by for caption in captions} == {captioner.name}
        assert set(captions[0].text.removeprefix("a photo of ohwx, ").split()) <= set(WORDS)
        return
    assert all(problem_of(tidied(words)) for words in captioner.describe(images))
    with pytest.raises(DataError, match="5 of 5 captions of the model cannot be used"):
        write_captions(images, CaptionOptions(), "ohwx", captioner=captioner)


def test_weights_that_lack_are_not_made_up(model: tuple[Architecture, Path], tmp_path: Path) -> None:
    architecture, folder = model
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    weights = safetensors.torch.load_file(copy / "model.safetensors")
    lost = next(name for name in sorted(weights) if name.endswith("weight") and "norm" not in name)
    del weights[lost]
    safetensors.torch.save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsUnavailable, match="lacks 1 weights"):
        ModelCaptioner(architecture, str(copy), device="cpu")


def test_another_model(model: tuple[Architecture, Path]) -> None:
    architecture, folder = model
    other: Architecture = "blip" if architecture == "florence2" else "florence2"
    with pytest.raises(WeightsUnavailable, match=f"of type {architecture}, not {other}"):
        ModelCaptioner(other, str(folder), device="cpu")


@pytest.mark.parametrize("config", [None, "{", "{}", json.dumps({"model_type": "blip"})])
def test_no_model(tmp_path: Path, config: str | None) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(WeightsUnavailable, match=str(tmp_path)):
        ModelCaptioner("blip", str(tmp_path), device="cpu")


def test_its_class_can_be_sent_to_where_it_is_to_run() -> None:
    assert pickle.loads(pickle.dumps(ModelCaptioner)) is ModelCaptioner
