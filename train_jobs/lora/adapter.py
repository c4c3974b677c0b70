"""The LoRA on a denoiser: which layers take one, its weights, and the file that it becomes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig as PeftConfig
from safetensors.torch import save_file
from torch import Tensor, nn

from thornback.artifacts.safetensors import data_offset
from thornback.errors import InvalidInput
from thornback.lora.convert import as_kohya
from thornback.lora.header import Lineage, header
from thornback.lora.keys import TensorName, clean, parse_name
from train_jobs.lora.families.base import Family

_TAKES_LORA = (nn.Linear, nn.Conv2d)
_CHUNK = 2**20


def layers_for(module: nn.Module, targets: Iterable[str]) -> list[str]:
    """Full names of the layers below the top whose names end in one of `targets`.

    The top is left out because a model's last projection is often called like those inside its blocks.

    Raises:
        InvalidInput: a target names no layer.
    """
    names = [name for name, layer in module.named_modules() if isinstance(layer, _TAKES_LORA)]
    found: set[str] = set()
    for target in targets:
        mine = {name for name in names if name.endswith(f".{target}")}
        if not mine:
            raise InvalidInput.field("config.targets", f"{target!r} is the end of no layer's name in this model")
        found |= mine
    return sorted(found)


def attach(module: nn.Module, layers: list[str], *, rank: int, alpha: float, dropout: float) -> None:
    """Put a LoRA on these layers. Only its weights are trained, and they are float32 whatever the base is."""
    config = PeftConfig(
        r=rank, lora_alpha=alpha, target_modules=layers, lora_dropout=dropout, init_lora_weights="gaussian"
    )
    model: Any = module
    model.add_adapter(config)
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def trained(parts: Mapping[str, nn.Module], main: str) -> dict[str, nn.Parameter]:
    """The LoRA's parameters by their names, the same on every worker and in every order of wrapping.

    Args:
        parts: component of the pipeline -> the module with a LoRA on it.
        main: the component whose name is left out, the denoiser's.
    """
    found: dict[str, nn.Parameter] = {}
    for component, module in parts.items():
        prefix = "" if component == main else f"{component}."
        found |= {prefix + clean(name): one for name, one in module.named_parameters() if one.requires_grad}
    return dict(sorted(found.items()))


def weights(parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Their values on the CPU; later steps do not change them."""
    return {name: one.detach().to("cpu", copy=True) for name, one in parameters.items()}


def load(parameters: Mapping[str, nn.Parameter], saved: Mapping[str, Tensor]) -> None:
    """Put values back in place.

    Raises:
        InvalidInput: they are of another LoRA: other layers or another rank.
    """
    if parameters.keys() != saved.keys() or any(parameters[name].shape != saved[name].shape for name in saved):
        raise InvalidInput.field("resume_from", "the checkpoint is of a LoRA with other layers or another rank")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(saved[name])


def file_tensors(
    weights: Mapping[str, Tensor], family: Family, *, scale: float, dtype: torch.dtype
) -> dict[str, Tensor]:
    """The tensors of the file: alpha folded, contiguous, under the family's names.

    Args:
        weights: as `weights` returned them; those of text encoders begin with the component's name.
        family: whose key format is taken.
        scale: alpha / rank.
        dtype: of the file.
    """
    named: dict[TensorName, Tensor] = {}
    for key, tensor in weights.items():
        name = parse_name(key if key.startswith("text_encoder") else f"{family.denoiser}.{key}")
        if name is None:
            raise RuntimeError(f"{key} is a trained tensor that a LoRA file has no name for")
        named[name] = (tensor.float() * (scale if name.part == "up" else 1.0)).to(dtype).contiguous()
    return as_kohya(named) if family.key_format == "kohya" else {name.diffusers(): one for name, one in named.items()}


def write_file(path: Path, tensors: Mapping[str, Tensor], lineage: Lineage) -> None:
    """Write the file with its header; it is there whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    save_file(dict(tensors), partial)
    told = header(lineage, tensors_sha256=_hash_of_tensors(partial))
    save_file(dict(tensors), partial, metadata=told)
    partial.replace(path)


def _hash_of_tensors(path: Path) -> str:
    """SHA-256 of what follows the header; the same whatever the header says."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(data_offset(path))
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
