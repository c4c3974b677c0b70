"""What a LoRA file says of itself: the header of a safetensors file, strings only.

`modelspec.*` is Stability's ModelSpec 1.0.1, `ss_*` is what kohya's tools and the web interfaces read,
`lora_adapter_metadata` is diffusers', `thornback.*` is where the file comes from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MODELSPEC_VERSION = "1.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What a trained LoRA was made of."""

    family: str
    architecture: str  # ModelSpec's, without "/lora"
    base_version: str  # kohya's
    title: str
    trigger_word: str | None
    rank: int
    alpha: float  # as configured; in the tensors it is folded
    steps: int
    epochs: int
    learning_rate: float
    seed: int
    resolution: tuple[int, int]  # width, height
    batch_size: int
    base_model: str
    base_revision: str | None
    base_licence: str | None
    dataset_sha256: str
    images: int
    captions: Mapping[str, int]  # tag -> how often, the most frequent
    job_id: str | None
    config: Mapping[str, Any]
    made_at: datetime
    component: str  # transformer or unet
    adapter: Mapping[str, Any] = field(default_factory=dict)  # PEFT's configuration with alpha = rank


def header(lineage: Lineage, *, tensors_sha256: str) -> dict[str, str]:
    """The whole header.

    Args:
        lineage: what it was made of.
        tensors_sha256: of the bytes after the header (ModelSpec's hash).
    """
    return {"format": "pt"} | _modelspec(lineage, tensors_sha256) | _kohya(lineage) | _adapter(lineage) | _own(lineage)


def _modelspec(lineage: Lineage, tensors_sha256: str) -> dict[str, str]:
    width, height = lineage.resolution
    optional = {
        "modelspec.trigger_phrase": lineage.trigger_word,
        "modelspec.license": lineage.base_licence,
        "modelspec.tags": ", ".join(list(lineage.captions)[:20]) or None,
    }
    return {
        "modelspec.sai_model_spec": MODELSPEC_VERSION,
        "modelspec.architecture": f"{lineage.architecture}/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": lineage.title,
        "modelspec.resolution": f"{width}x{height}",
        "modelspec.date": lineage.made_at.isoformat(timespec="seconds"),
        "modelspec.hash_sha256": f"0x{tensors_sha256}",
    } | {name: value for name, value in optional.items() if value}


def _kohya(lineage: Lineage) -> dict[str, str]:
    width, height = lineage.resolution
    return {
        "ss_base_model_version": lineage.base_version,
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(lineage.rank),
        "ss_network_alpha": str(float(lineage.rank)),  # as it stands in the tensors: folded
        "ss_steps": str(lineage.steps),
        "ss_num_epochs": str(lineage.epochs),
        "ss_learning_rate": str(lineage.learning_rate),
        "ss_unet_lr": str(lineage.learning_rate),
        "ss_seed": str(lineage.seed),
        "ss_resolution": f"({width}, {height})",
        "ss_total_batch_size": str(lineage.batch_size),
        "ss_num_train_images": str(lineage.images),
        "ss_sd_model_name": lineage.base_model,
        "ss_output_name": lineage.title,
        "ss_tag_frequency": json.dumps({"dataset": dict(lineage.captions)}),
        "ss_datasets": json.dumps([{"num_train_images": lineage.images, "sha256": lineage.dataset_sha256}]),
        "ss_training_finished_at": str(lineage.made_at.timestamp()),
    }


def _adapter(lineage: Lineage) -> dict[str, str]:
    if not lineage.adapter:
        return {}
    named = {f"{lineage.component}.{name}": value for name, value in lineage.adapter.items()}
    return {"lora_adapter_metadata": json.dumps(named, sort_keys=True)}


def _own(lineage: Lineage) -> dict[str, str]:
    facts = {
        "family": lineage.family,
        "job_id": lineage.job_id,
        "base_model": lineage.base_model,
        "base_revision": lineage.base_revision,
        "base_licence": lineage.base_licence,
        "dataset_sha256": lineage.dataset_sha256,
        "trigger_word": lineage.trigger_word,
        "alpha": str(lineage.alpha),
        "seed": str(lineage.seed),
        "steps": str(lineage.steps),
        "config": json.dumps(dict(lineage.config), sort_keys=True),
    }
    return {f"thornback.{name}": value for name, value in facts.items() if value is not None}
