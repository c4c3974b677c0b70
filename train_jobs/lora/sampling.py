"""Pictures from the model in training: the same prompts and seeds each time, so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import nn

from thornback.jobs.own_lora import LoraConfig
from train_jobs.lora.examples import Encoded
from train_jobs.lora.learner import Learner

NEGATIVE = ""  # the prompt that guidance leads away from


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture."""

    number: int  # of its prompt, from 0
    prompt: str
    image: Image.Image


class Sampler:
    """Draws with the weights as they are; the VAE comes to the device for that time only."""

    def __init__(
        self,
        config: LoraConfig,
        prompts: Sequence[str],
        make_pipe: Callable[[nn.Module, nn.Module], Any],
        load_vae: Callable[[], nn.Module],
    ) -> None:
        """Prepare nothing yet.

        Args:
            config: of the run.
            prompts: with the trigger word in its place.
            make_pipe: the family's pipeline around a denoiser and a VAE.
            load_vae: from the base model, on the CPU.
        """
        self._config = config
        self._prompts = prompts
        self._make_pipe = make_pipe
        self._load_vae = load_vae
        self._vae: nn.Module | None = None

    @torch.no_grad()
    def draw(self, learner: Learner, encoded: Encoded, numbers: Sequence[int]) -> list[Sample]:
        """Pictures for the prompts of these numbers."""
        if not numbers:
            return []
        if self._vae is None:
            self._vae = self._load_vae()
        learner.eval()
        vae = self._vae.to(learner.device)
        try:
            with learner.showing_average(), learner.computing():
                pipe = self._make_pipe(learner.denoiser, vae)
                return [self._one(pipe, learner, encoded, number) for number in numbers]
        finally:
            self._vae = vae.to("cpu")

    def _one(self, pipe: Any, learner: Learner, encoded: Encoded, number: int) -> Sample:
        config, family = self._config, learner.family
        size = config.sample_size or max(config.resolution)
        size -= size % family.pixel_multiple
        positive = self._text(encoded, self._prompts[number], learner)
        negative = self._text(encoded, NEGATIVE, learner) if family.uses_negative else None
        guidance = family.guidance if config.sample_guidance is None else config.sample_guidance
        drawn = pipe(
            **family.sample_arguments(positive, negative),
            **family.guidance_arguments(guidance),
            height=size,
            width=size,
            num_inference_steps=config.sample_steps or family.sample_steps,
            generator=torch.Generator().manual_seed(config.seed + number),
            output_type="pil",
        )
        return Sample(number=number, prompt=self._prompts[number], image=drawn.images[0])

    def _text(self, encoded: Encoded, prompt: str, learner: Learner) -> Mapping[str, torch.Tensor]:
        (text,) = learner.texts([prompt], encoded)
        return {
            name: one.to(learner.device, learner.dtype if one.is_floating_point() else one.dtype)
            for name, one in text.items()
        }
