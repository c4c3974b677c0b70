"""A LoRA that was trained and the file it became give the same picture, in every family."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fixtures.tiny_models import BUILDERS
from tests.unit.train_jobs.lora.bench_of_one import config_of, run
from tests.unit.train_jobs.lora.test_families import CPU, GUIDANCE, SIZE, base_of
from thornback.errors import InvalidInput
from thornback.lora.convert import convert
from thornback.lora.header import Lineage
from thornback.lora.inspect import inspect
from train_jobs.lora import adapter, components
from train_jobs.lora.families import FAMILIES

RANK, ALPHA = 4, 6.0
PROMPT = "a red fox"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def lineage(name: str) -> Lineage:
    family = FAMILIES[name]
    return Lineage(
        family=name,
        architecture=family.architecture,
        base_version=family.base_version,
        title="fox",
        trigger_word="TOK",
        rank=RANK,
        alpha=ALPHA,
        steps=3,
        epochs=1,
        learning_rate=1e-4,
        seed=7,
        resolution=(SIZE, SIZE),
        batch_size=1,
        base_model="tiny",
        base_revision=None,
        base_licence="apache-2.0",
        dataset_sha256="ab" * 32,
        images=2,
        captions={"a fox": 2},
        job_id=None,
        config={"rank": RANK},
        made_at=datetime(2026, 1, 2, tzinfo=UTC),
        component=family.denoiser,
    )


def trained_denoiser(base: components.BaseModel) -> Any:
    """A denoiser whose LoRA does something, as after training."""
    denoiser, _ = components.load_denoiser(base, device=CPU, dtype=torch.float32)
    layers = adapter.layers_for(denoiser, base.model_family.targets)
    adapter.attach(denoiser, layers, rank=RANK, alpha=ALPHA, dropout=0.0)
    generator = torch.Generator().manual_seed(1)
    for parameter in adapter.trained({"it": denoiser}, "it").values():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return denoiser


def lora_weights(denoiser: Any, base: components.BaseModel) -> dict[str, torch.Tensor]:
    part = base.model_family.denoiser
    return adapter.weights(adapter.trained({part: denoiser}, part))


def picture(pipe: Any, name: str) -> torch.Tensor:
    with torch.no_grad():
        drawn = pipe(
            prompt=PROMPT,
            **GUIDANCE[name],
            height=SIZE,
            width=SIZE,
            num_inference_steps=2,
            generator=torch.Generator().manual_seed(0),
            output_type="latent",
            **({"max_sequence_length": 32} if name in ("flux1", "chroma", "sd3") else {}),
            **({"text_encoder_out_layers": (1, 2, 3)} if name == "flux2-klein" else {}),
        )
    return torch.as_tensor(drawn.images)


def whole_pipeline(base: components.BaseModel) -> Any:
    import diffusers

    pipe: Any = getattr(diffusers, base.model_family.pipeline).from_pretrained(base.source, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_file_is_the_training(name: str, folder: Path, tmp_path: Path) -> None:
    base = base_of(folder, name)
    family = base.model_family
    denoiser = trained_denoiser(base)
    file = tmp_path / "lora.safetensors"
    tensors = adapter.file_tensors(lora_weights(denoiser, base), family, scale=ALPHA / RANK, dtype=torch.float32)
    adapter.write_file(file, tensors, lineage(name))

    before = whole_pipeline(base)
    plain = picture(before, name)
    before.register_modules(**{family.denoiser: denoiser})
    in_training = picture(before, name)
    after = whole_pipeline(base)
    after.load_lora_weights(str(file))
    reloaded = picture(after, name)

    assert (in_training - plain).abs().max() > 1e-2, "the LoRA changes nothing, so this test would see nothing"
    assert (reloaded - in_training).abs().max() <= 2e-6 * max(1.0, float(in_training.abs().max()))

    told = inspect(file)
    assert (told.family, told.rank, told.trigger_word) == (name, RANK, "TOK")
    assert told.key_format == family.key_format
    assert told.foreign == ()
    assert json.loads(told.header["thornback.config"]) == {"rank": RANK}


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_both_key_formats_of_a_unet_mean_the_same(name: str, folder: Path, tmp_path: Path) -> None:
    base = base_of(folder, name)
    family = base.model_family
    tensors = adapter.file_tensors(
        lora_weights(trained_denoiser(base), base), family, scale=ALPHA / RANK, dtype=torch.float32
    )
    kohya, dotted, back = (tmp_path / f"{kind}.safetensors" for kind in ("kohya", "dotted", "back"))
    adapter.write_file(kohya, tensors, lineage(name))
    convert(kohya, dotted, to="diffusers")
    convert(dotted, back, to="kohya")

    drawn = []
    for file in (kohya, dotted, back):
        pipe = whole_pipeline(base)
        pipe.load_lora_weights(str(file))
        drawn.append(picture(pipe, name))
    assert (drawn[0] - drawn[1]).abs().max() <= 2e-6
    assert (drawn[0] - drawn[2]).abs().max() <= 2e-6
    assert inspect(dotted).key_format == "diffusers"
    assert inspect(back).header == inspect(kohya).header


def test_a_transformer_has_no_kohya_names(folder: Path, tmp_path: Path) -> None:
    base = base_of(folder, "flux1")
    tensors = adapter.file_tensors(
        lora_weights(trained_denoiser(base), base), base.model_family, scale=1.0, dtype=torch.bfloat16
    )
    file = tmp_path / "lora.safetensors"
    adapter.write_file(file, tensors, lineage("flux1"))
    with pytest.raises(InvalidInput, match="ComfyUI reads the diffusers names"):
        convert(file, tmp_path / "other.safetensors", to="kohya")
    assert not (tmp_path / "other.safetensors").exists()


def test_a_target_that_names_nothing_is_refused(folder: Path) -> None:
    base = base_of(folder, "sd15")
    denoiser, _ = components.load_denoiser(base, device=CPU, dtype=torch.float32)
    with pytest.raises(InvalidInput, match=r"config\.targets: 'to_nothing'"):
        adapter.layers_for(denoiser, ["to_q", "to_nothing"])


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_text_encoders_are_trained_too(name: str, folder: Path, tmp_path: Path) -> None:
    """The file of a run that trained them draws what the modules in training draw."""
    config = config_of(steps=3, learning_rate=0.05, train_text_encoder=True, caption_dropout=0.0)
    base = base_of(folder, name)
    pipe = components.load_text_pipeline(base, device=CPU, dtype=torch.float32)
    training, _, _, outcome = run(folder, name, config, text_pipe=pipe)
    learner = training.learner
    assert any(key.startswith("text_encoder.") for key in outcome.weights)
    moved = [
        key for key, one in outcome.weights.items() if key.startswith("text_encoder") and "lora_B" in key and one.any()
    ]
    assert moved
    file = tmp_path / "lora.safetensors"
    tensors = adapter.file_tensors(outcome.weights, base.model_family, scale=1.0, dtype=torch.float32)
    adapter.write_file(file, tensors, lineage(name))
    learner.eval()
    in_training = whole_pipeline(base)
    in_training.register_modules(**learner.parts)
    after = whole_pipeline(base)
    after.load_lora_weights(str(file))
    assert (picture(after, name) - picture(in_training, name)).abs().max() <= 2e-6
