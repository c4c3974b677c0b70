"""Z-Image: a rectified-flow transformer that takes a list of latents, Qwen3 for text; its time runs backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from train_jobs.lora.families.autoencoder import KlFamily
from train_jobs.lora.families.base import Conditioning, Frame
from train_jobs.lora.families.objective import FlowMatching


class ZImage(KlFamily):
    """See Family."""

    name = "z-image"
    title = "Z-Image"
    pipeline = "ZImagePipeline"
    denoiser = "transformer"
    text_components = ("text_encoder", "tokenizer")
    objective = FlowMatching()
    targets = ("to_q", "to_k", "to_v", "to_out.0", "feed_forward.w1", "feed_forward.w2", "feed_forward.w3")
    key_format = "diffusers"
    architecture = "z-image"
    base_version = "z_image"
    guidance = 5.0
    sample_steps = 30
    uses_negative = True

    def encode_text(self, pipe: Any, prompts: Sequence[str]) -> list[Conditioning]:
        """See Family."""
        embeds, _ = pipe.encode_prompt(
            list(prompts), device=pipe.text_encoder.device, do_classifier_free_guidance=False
        )
        return [{"prompt_embeds": one, "length": torch.tensor(one.shape[0], device=one.device)} for one in embeds]

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, times: Tensor, conditioning: Conditioning, frames: Sequence[Frame]
    ) -> Tensor:
        """See Family. The model's time is 1 where there is no noise, and it predicts the opposite velocity."""
        lengths = conditioning["length"].tolist()
        texts = [text[:length].to(noisy) for text, length in zip(conditioning["prompt_embeds"], lengths, strict=True)]
        answers = denoiser(list(noisy.unsqueeze(2).unbind(dim=0)), (1.0 - times).to(noisy), texts, return_dict=False)[0]
        return -torch.stack(list(answers)).squeeze(2)

    def sample_arguments(self, positive: Conditioning, negative: Conditioning | None) -> dict[str, Any]:
        """See Family."""
        arguments: dict[str, Any] = {"prompt_embeds": [positive["prompt_embeds"]]}
        if negative is not None:
            arguments["negative_prompt_embeds"] = [negative["prompt_embeds"]]
        return arguments
