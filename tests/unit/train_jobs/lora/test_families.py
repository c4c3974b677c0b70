"""Each family's `predict` is what its pipeline in diffusers computes, and its latents are what the VAE decodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fixtures.tiny_models import BUILDERS, build
from train_jobs.lora import components
from train_jobs.lora.families import FAMILIES
from train_jobs.lora.families.base import Family, Frame, unpack
from train_jobs.lora.families.flux2 import patches

CPU = torch.device("cpu")
SIZE = 64
# One pass of the denoiser a step: no classifier-free guidance.
GUIDANCE: dict[str, dict[str, float]] = {name: {"guidance_scale": 1.0} for name in BUILDERS} | {
    "qwen-image": {"true_cfg_scale": 1.0},
    "z-image": {"guidance_scale": 0.0},
}
FRAME = Frame(original=(SIZE, SIZE), crop=(0, 0), target=(SIZE, SIZE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def base_of(folder: Path, name: str) -> components.BaseModel:
    place = folder / name
    if not place.exists():
        build(name, place)
    return components.find_base_model(str(place), revision=None, family="auto")


class Heard:
    """What a denoiser was called with first, and what it said."""

    def __init__(self, denoiser: Any) -> None:
        self.latents: Any = None
        self.time: Any = None
        self.answer: Any = None
        real = denoiser.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            answer = real(*args, **kwargs)
            if self.answer is None:
                self.latents = kwargs.get("hidden_states", args[0] if args else kwargs.get("sample"))
                self.time = kwargs.get("timestep", args[1] if len(args) > 1 else None)
                self.answer = answer[0]
            return answer

        denoiser.forward = forward


def latents_of(family: Family, heard: Any, size: int) -> Any:
    """What the pipeline gave to its denoiser, in the shape that ours takes."""
    if isinstance(heard, list | tuple):
        return torch.stack([item.squeeze(1) for item in heard])
    if heard.ndim == 4:
        return heard
    if family.name == "flux2-klein":
        return heard.transpose(1, 2).reshape(heard.shape[0], -1, size // 16, size // 16)
    return unpack(heard, size // 8, size // 8)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_predict_is_what_the_pipeline_computes(name: str, folder: Path) -> None:
    base = base_of(folder, name)
    family = FAMILIES[name]
    texts = components.load_text_pipeline(base, device=CPU, dtype=torch.float32)
    with torch.no_grad():
        conditioning = family.encode_text(texts, ["a red fox", "a much longer sentence about a blue boat"])
    vae = components.load_vae(base, device=CPU, dtype=torch.float32)
    denoiser, _ = components.load_denoiser(base, device=CPU, dtype=torch.float32)
    pipe = components.load_for_sampling(base, denoiser, vae)
    heard = Heard(denoiser)
    arguments = family.sample_arguments(conditioning[0], None) | GUIDANCE[name]
    with torch.no_grad():
        pipe(
            **arguments,
            height=SIZE,
            width=SIZE,
            num_inference_steps=2,
            generator=torch.Generator().manual_seed(0),
            output_type="latent",
        )
    time = torch.as_tensor(heard.time).reshape(-1)[:1].float()
    times = {"sd3": time / 1000, "z-image": 1 - time}.get(name, time)
    noisy = latents_of(family, heard.latents, SIZE)
    with torch.no_grad():
        mine = family.predict(denoiser, noisy, times, family.collate(conditioning[:1]), [FRAME])
    theirs = latents_of(family, heard.answer, SIZE)
    theirs = -theirs if name == "z-image" else theirs
    torch.testing.assert_close(mine, theirs, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_normalised_latents_are_those_that_the_pipeline_decodes(name: str, folder: Path) -> None:
    base = base_of(folder, name)
    family = FAMILIES[name]
    vae: Any = components.load_vae(base, device=CPU, dtype=torch.float32)
    denoiser, _ = components.load_denoiser(base, device=CPU, dtype=torch.float32)
    pipe = components.load_for_sampling(base, denoiser, vae)
    texts = components.load_text_pipeline(base, device=CPU, dtype=torch.float32)
    with torch.no_grad():
        arguments = family.sample_arguments(family.encode_text(texts, ["a red fox"])[0], None) | GUIDANCE[name]
    decoded: list[torch.Tensor] = []
    real = vae.decode

    def decode(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        decoded.append(latents)
        return real(latents, *args, **kwargs)

    vae.decode = decode
    final: list[torch.Tensor] = []
    before_vae: list[torch.Tensor] = []
    if name == "flux2-klein":
        # This pipeline hands out what its VAE decodes; take what it had before.
        unpacked = pipe._unpack_latents_with_ids

        def unpack_and_keep(*args: Any, **kwargs: Any) -> torch.Tensor:
            before_vae.append(unpacked(*args, **kwargs))
            return before_vae[-1]

        pipe._unpack_latents_with_ids = unpack_and_keep
    for kind in ("latent", "pt"):
        with torch.no_grad():
            drawn = pipe(
                **arguments,
                height=SIZE,
                width=SIZE,
                num_inference_steps=1,
                generator=torch.Generator().manual_seed(0),
                output_type=kind,
            )
        final.append(drawn.images)
    raw = decoded[0].squeeze(2) if name == "qwen-image" else decoded[0]
    if name == "flux2-klein":
        raw = patches(raw)
    wanted = (before_vae or final)[0]
    torch.testing.assert_close(
        family.normalise(raw, family.statistics(vae)), latents_of(family, wanted, SIZE), atol=1e-5, rtol=1e-4
    )
