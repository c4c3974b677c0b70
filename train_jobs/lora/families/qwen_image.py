"""Qwen-Image: a rectified-flow transformer over packed latents of a video VAE, Qwen2.5-VL for text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from train_jobs.lora.families.base import Conditioning, Family, Frame, Posterior, pack, unpack
from train_jobs.lora.families.objective import FlowMatching


class QwenImage(Family):
    """See Family."""

    name = "qwen-image"
    title = "Qwen-Image"
    pipeline = "QwenImagePipeline"
    denoiser = "transformer"
    text_components = ("text_encoder", "tokenizer")
    objective = FlowMatching()
    targets = (
        "to_q",
        "to_k",
        "to_v",
        "to_out.0",
        "add_q_proj",
        "add_k_proj",
        "add_v_proj",
        "to_add_out",
        "img_mlp.net.0.proj",
        "img_mlp.net.2",
        "txt_mlp.net.0.proj",
        "txt_mlp.net.2",
    )
    key_format = "diffusers"
    architecture = "qwen-image"
    base_version = "qwen_image"
    guidance = 4.0
    uses_negative = True

    def encode_text(self, pipe: Any, prompts: Sequence[str]) -> list[Conditioning]:
        """See Family. One prompt at a time: without padding there is nothing to mask."""
        encoded = [pipe.encode_prompt(prompt, device=pipe.text_encoder.device)[0][0] for prompt in prompts]
        return [
            {"prompt_embeds": one, "prompt_embeds_mask": torch.ones(one.shape[0], dtype=torch.long, device=one.device)}
            for one in encoded
        ]

    def encode_images(self, vae: nn.Module, pixels: Tensor) -> Posterior:
        """See Family. The VAE takes videos; an image is one of a single frame."""
        model: Any = vae
        distribution = model.encode(pixels[:, :, None]).latent_dist
        return Posterior(mean=distribution.mean[:, :, 0], std=distribution.std[:, :, 0])

    def statistics(self, vae: nn.Module) -> Mapping[str, Any]:
        """See Family."""
        config: Any = vae.config
        return {"mean": list(config.latents_mean), "std": list(config.latents_std)}

    def normalise(self, latents: Tensor, statistics: Mapping[str, Any]) -> Tensor:
        """See Family."""
        mean, std = (latents.new_tensor(statistics[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
        return (latents - mean) / std

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, times: Tensor, conditioning: Conditioning, frames: Sequence[Frame]
    ) -> Tensor:
        """See Family."""
        batch, _, height, width = noisy.shape
        guidance = None
        if getattr(self.config_of(denoiser), "guidance_embeds", False):
            guidance = torch.ones(batch, device=noisy.device)
        mask = conditioning["prompt_embeds_mask"]
        tokens = denoiser(
            hidden_states=pack(noisy),
            timestep=times.to(noisy),
            guidance=guidance,
            encoder_hidden_states=conditioning["prompt_embeds"].to(noisy),
            encoder_hidden_states_mask=None if bool(mask.all()) else mask,
            img_shapes=[[(1, height // 2, width // 2)]] * batch,
            return_dict=False,
        )[0]
        return unpack(tokens, height, width)

    def guidance_arguments(self, guidance: float) -> dict[str, float]:
        """See Family."""
        return {"true_cfg_scale": guidance}
