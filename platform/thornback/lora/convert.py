"""One key format to the other. Alpha is folded into the tensors, so that the result means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from thornback.artifacts.safetensors import read_header
from thornback.errors import InvalidInput
from thornback.lora.keys import Format, TensorName, format_of, parse_name

if TYPE_CHECKING:
    from torch import Tensor

Tensors = dict[TensorName, "Tensor"]


def convert(source: Path, target: Path, *, to: Format) -> int:
    """Write `source` in the other format; returns the number of layers.

    Raises:
        InvalidInput: no LoRA, or one whose layers have no name in the other format.
    """
    from safetensors.torch import load_file, save_file  # torch: seconds of imports

    keys, header = read_header(source)
    if format_of(keys) is None:
        raise InvalidInput.field("file", f"{source} holds no LoRA")
    named: Tensors = {}
    for key, tensor in load_file(source).items():
        name = parse_name(key)
        if name is None:
            raise InvalidInput.field("file", f"{key} in {source} is no tensor of a LoRA")
        named[name] = tensor
    folded = fold_alpha(named)
    renamed = as_kohya(folded) if to == "kohya" else {name.diffusers(): tensor for name, tensor in folded.items()}
    partial = target.with_name(f"{target.name}.partial")
    save_file({key: tensor.contiguous() for key, tensor in renamed.items()}, partial, metadata=dict(header))
    partial.replace(target)
    return sum(name.part == "down" for name in folded)


def fold_alpha(named: Tensors) -> Tensors:
    """Multiply each upper matrix by alpha / rank and leave the alphas out."""
    folded: Tensors = {}
    for name, tensor in named.items():
        if name.part == "alpha":
            continue
        alpha = named.get(TensorName(name.component, name.module, "alpha"))
        if name.part == "up" and alpha is not None:
            folded[name] = (tensor.float() * (float(alpha) / tensor.shape[1])).to(tensor.dtype)
        else:
            folded[name] = tensor
    return folded


def as_kohya(folded: Tensors) -> dict[str, Tensor]:
    """Names of kohya's tools, with alpha = rank.

    Raises:
        InvalidInput: the denoiser is a transformer; its readers take diffusers' names.
    """
    import torch

    if any(name.component == "transformer" for name in folded):
        raise InvalidInput.field(
            "to", "kohya's names are for U-Nets (SD 1.5, SDXL); ComfyUI reads the diffusers names of this family"
        )
    two = any(name.component == "text_encoder_2" for name in folded)
    renamed: dict[str, Tensor] = {}
    for name, tensor in folded.items():
        renamed[name.kohya(has_two_text_encoders=two)] = tensor
        if name.part == "down":
            alpha = TensorName(name.component, name.module, "alpha").kohya(has_two_text_encoders=two)
            renamed[alpha] = torch.tensor(float(tensor.shape[0]))
    return renamed
