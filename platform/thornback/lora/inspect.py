"""What is in a LoRA file, read from its header alone: no torch, and not a tensor."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thornback.artifacts.safetensors import read_header
from thornback.errors import InvalidInput
from thornback.lora.keys import Format, format_of, parse_name

# A layer that only one family has, where a file does not name its family.
_SIGNS = (
    ("flux2-klein", "double_stream_modulation"),
    ("z-image", "context_refiner"),
    ("z-image", "noise_refiner"),
    ("qwen-image", "img_mlp"),
    ("chroma", "distilled_guidance_layer"),
    ("flux1", "single_transformer_blocks"),
    ("flux1", "double_blocks"),
    ("sdxl", "lora_te2_"),
    ("sdxl", "input_blocks_4_1_transformer_blocks_1"),
    ("sdxl", "down_blocks_2_attentions_0_transformer_blocks_9"),
)
_ARCHITECTURES = {
    "flux-1": "flux1",
    "flux-2": "flux2-klein",
    "stable-diffusion-xl": "sdxl",
    "stable-diffusion-v1": "sd15",
    "stable-diffusion-v3": "sd3",
    "qwen-image": "qwen-image",
    "z-image": "z-image",
    "chroma": "chroma",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraFile:
    """A LoRA file in figures. None where the file does not say."""

    path: str
    size_bytes: int
    key_format: Format
    family: str | None
    base_model: str | None
    trigger_word: str | None
    ranks: Mapping[int, int]  # rank -> number of layers
    alpha: str | None  # as the tensors have it: "rank" where every alpha is folded or missing
    layers: int
    parameters: int
    dtypes: Mapping[str, int]  # dtype -> number of tensors
    components: Mapping[str, int]  # component -> number of layers
    foreign: tuple[str, ...]  # tensors that belong to no LoRA
    header: Mapping[str, str]

    @property
    def rank(self) -> int | None:
        """The rank, where all layers have the same."""
        return next(iter(self.ranks)) if len(self.ranks) == 1 else None


def inspect(path: Path) -> LoraFile:
    """Read a file's header.

    Raises:
        InvalidInput: it is no safetensors file, or holds no LoRA.
    """
    tensors, header = read_header(path)
    key_format = format_of(tensors)
    if key_format is None:
        raise InvalidInput.field("file", f"{path} is a safetensors file, but none of its tensors belongs to a LoRA")
    named = {key: parse_name(key) for key in tensors}
    downs = {name: tensors[key] for key, name in named.items() if name is not None and name.part == "down"}
    ranks = Counter(entry["shape"][0] for entry in downs.values())
    return LoraFile(
        path=str(path),
        size_bytes=path.stat().st_size,
        key_format=key_format,
        family=_family(tensors, header),
        base_model=header.get("thornback.base_model") or header.get("ss_sd_model_name"),
        trigger_word=header.get("modelspec.trigger_phrase") or header.get("thornback.trigger_word"),
        ranks=dict(sorted(ranks.items())),
        alpha=_alpha(header, ranks) if _has_alpha(named) else "rank",
        layers=len(downs),
        parameters=sum(_count(entry["shape"]) for key, entry in tensors.items() if not key.endswith(".alpha")),
        dtypes=dict(Counter(entry["dtype"] for entry in tensors.values())),
        components=dict(Counter(name.component for name in downs)),
        foreign=tuple(key for key, name in named.items() if name is None),
        header=header,
    )


def _family(tensors: Mapping[str, Any], header: Mapping[str, str]) -> str | None:
    if "thornback.family" in header:
        return header["thornback.family"]
    architecture = header.get("modelspec.architecture", "").casefold()
    for start, family in _ARCHITECTURES.items():
        if architecture.startswith(start):
            return family
    adapter = _json(header.get("lora_adapter_metadata", ""))
    text = "\n".join(tensors) + "\n".join(adapter)
    return next((family for family, sign in _SIGNS if sign in text), None)


def _has_alpha(named: Mapping[str, Any]) -> bool:
    return any(name is not None and name.part == "alpha" for name in named.values())


def _alpha(header: Mapping[str, str], ranks: Mapping[int, int]) -> str | None:
    """What the header says, for the tensors are not read; an alpha that is the rank is a folded one."""
    told = header.get("ss_network_alpha")
    return "rank" if told in {str(float(rank)) for rank in ranks} and len(ranks) == 1 else told


def _count(shape: list[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
