"""The names of a LoRA's tensors: diffusers' (PEFT's) with dots, kohya's with underscores. Pure.

    diffusers   transformer.blocks.0.attn.to_q.lora_A.weight           down: [rank, in]
                transformer.blocks.0.attn.to_q.lora_B.weight           up:   [out, rank]
    kohya       lora_unet_down_blocks_0_attn1_to_q.lora_down.weight    the same two, and
                lora_unet_down_blocks_0_attn1_to_q.alpha               what rank divides

A reader that finds no alpha takes alpha = rank. So a file in which alpha is folded into the upper matrix,
and the alpha that is written is the rank, means the same to all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Format = Literal["diffusers", "kohya"]
Part = Literal["down", "up", "alpha"]

# What training wrappers put before or into a module's name.
_WRAPPERS = ("base_model.model.", "module.", "_orig_mod.", "_fsdp_wrapped_module.")

_DIFFUSERS_PARTS: dict[str, Part] = {
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora.down.weight": "down",
    ".lora.up.weight": "up",
    ".alpha": "alpha",
}
_KOHYA_PARTS: dict[str, Part] = {".lora_down.weight": "down", ".lora_up.weight": "up", ".alpha": "alpha"}

# kohya's prefix and the component of a diffusers pipeline.
_KOHYA_PREFIXES = {
    "unet": "lora_unet_",
    "transformer": "lora_unet_",
    "text_encoder": "lora_te_",
    "text_encoder_2": "lora_te2_",
}
_COMPONENTS = ("transformer", "unet", "text_encoder_2", "text_encoder_3", "text_encoder")

# Words of module names that contain an underscore themselves, the longest first.
_COMPOUND = re.compile(
    r"(?:down_blocks|up_blocks|mid_block|transformer_blocks|single_transformer_blocks|attn1|attn2|to_out|to_q|to_k|to_v"
    r"|proj_in|proj_out|time_emb_proj|conv_shortcut|text_model|self_attn|q_proj|k_proj|v_proj|out_proj|add_embedding"
    r"|time_embedding|linear_1|linear_2)(?=_|$)"
)


@dataclass(frozen=True, slots=True, order=True)
class TensorName:
    """What a tensor of a LoRA file is."""

    component: str  # of the pipeline: transformer, unet, text_encoder…; kohya's unknown ones keep their prefix
    module: str  # the layer's name within it, with dots; with underscores where it cannot be known better
    part: Part

    def diffusers(self) -> str:
        """Its name in a diffusers file; alpha has one only in older files."""
        ending = {"down": ".lora_A.weight", "up": ".lora_B.weight", "alpha": ".alpha"}[self.part]
        return f"{self.component}.{self.module}{ending}"

    def kohya(self, *, has_two_text_encoders: bool) -> str:
        """Its name in a kohya file. With two text encoders the first is called te1, alone it is te."""
        prefix = _KOHYA_PREFIXES[self.component]
        if has_two_text_encoders and self.component == "text_encoder":
            prefix = "lora_te1_"
        ending = {"down": ".lora_down.weight", "up": ".lora_up.weight", "alpha": ".alpha"}[self.part]
        return f"{prefix}{self.module.replace('.', '_')}{ending}"


def parse_name(key: str) -> TensorName | None:
    """Read a tensor's name in either format; None for one that belongs to no LoRA."""
    key = clean(key)
    if key.startswith("lora_"):
        return _parse_kohya(key)
    for ending, part in _DIFFUSERS_PARTS.items():
        if not key.endswith(ending):
            continue
        path = key.removesuffix(ending)
        path = path.removeprefix("diffusion_model.")  # ComfyUI's name of whatever denoises
        for component in _COMPONENTS:
            if path.startswith(f"{component}."):
                return TensorName(component, path.removeprefix(f"{component}."), part)
        return TensorName("transformer", path, part)
    return None


def clean(key: str) -> str:
    """Without what PEFT, DDP, FSDP and torch.compile add."""
    for wrapper in _WRAPPERS:
        key = key.replace(wrapper, "")
    return key.replace(".default.", ".")


def format_of(keys: Iterable[str]) -> Format | None:
    """The format of a file; None where it holds no LoRA."""
    for key in keys:
        if parse_name(key) is not None:
            return "kohya" if key.startswith("lora_") else "diffusers"
    return None


def _parse_kohya(key: str) -> TensorName | None:
    for ending, part in _KOHYA_PARTS.items():
        if key.endswith(ending):
            path = key.removesuffix(ending)
            for prefix, component in (
                ("lora_unet_", "unet"),
                ("lora_te1_", "text_encoder"),
                ("lora_te2_", "text_encoder_2"),
                ("lora_te_", "text_encoder"),
            ):
                if path.startswith(prefix):
                    return TensorName(component, with_dots(path.removeprefix(prefix)), part)
            return None
    return None


def with_dots(flat: str) -> str:
    """`down_blocks_0_attn1_to_q` -> `down_blocks.0.attn1.to_q`, for the layers of U-Nets and CLIP."""
    kept = _COMPOUND.sub(lambda found: found.group().replace("_", "\0"), flat)
    return kept.replace("_", ".").replace("\0", "_")
