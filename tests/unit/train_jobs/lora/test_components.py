"""A base model that is not there, or not whole, is named with what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tests.unit.train_jobs.lora.test_families import CPU, base_of
from thornback.errors import InvalidInput, WeightsUnavailable
from train_jobs.lora import components
from train_jobs.lora.components import find_base_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    base_of(tmp_path, "sd15")
    return tmp_path / "sd15"


def load(model: Path) -> None:
    base = find_base_model(str(model), revision=None, family="auto")
    components.load_denoiser(base, device=CPU, dtype=torch.float32)


def test_a_folder_is_never_looked_for_on_the_hub(model: Path, tmp_path: Path) -> None:
    found = find_base_model(str(model), revision="a branch", family="auto")
    assert (found.source, found.revision, found.family) == (str(model), None, "sd15")
    load(model)
    with pytest.raises(InvalidInput, match=r"config\.family: .* is a sd15 model and not flux1"):
        find_base_model(str(model), revision=None, family="flux1")
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(WeightsUnavailable, match=r"a part of .*sd15 is missing or broken \(.*\); copy it anew"):
        load(model)
    shutil.rmtree(model / "unet")
    with pytest.raises(WeightsUnavailable, match=r"a part of .* is missing or broken"):
        load(model)
    index = model / "model_index.json"
    for content in ("[1]", "{", ""):
        index.write_text(content)
        with pytest.raises(WeightsUnavailable, match=r"holds no readable model_index\.json"):
            load(model)
    index.write_text('{"_class_name": "WanPipeline"}')
    with pytest.raises(InvalidInput, match=r"config\.base_model: .* is a WanPipeline, which is none of"):
        load(model)


def test_what_is_in_neither_place_is_told_with_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for source in (str(tmp_path / "nothing"), "some-body/some-model"):
        with pytest.raises(WeightsUnavailable, match=f"{source}' is neither a folder .* nor a model that the Hugging"):
            find_base_model(source, revision=None, family="auto")
