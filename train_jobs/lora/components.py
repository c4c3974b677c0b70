"""Loading parts of a base model: its text encoders, its VAE, its denoiser, each on its own and no more.

`base_model` is a folder or a hub id. A folder is never looked for on the hub; a hub id needs network or
a filled cache.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from thornback.errors import InvalidInput, WeightsUnavailable
from train_jobs.lora.families import BY_PIPELINE, FAMILIES
from train_jobs.lora.families.base import Family

MODEL_INDEX = "model_index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """Where the weights come from, as found out once by the driver; every worker loads the same."""

    source: str  # a folder, or a hub id
    revision: str | None  # the hub's commit; None for a folder
    family: str
    class_name: str  # the pipeline that model_index.json names
    licence: str | None = None

    @property
    def model_family(self) -> Family:
        """How to train it."""
        return FAMILIES[self.family]


def be_quiet() -> None:
    """Keep the libraries' bars out of the job's log: each loaded part would be several lines."""
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers
    from huggingface_hub.utils.tqdm import disable_progress_bars

    of_diffusers.disable_progress_bar()
    of_transformers.disable_progress_bar()
    disable_progress_bars()


def find_base_model(source: str, *, revision: str | None, family: str) -> BaseModel:
    """Look at a base model without loading it, and pin its revision.

    Args:
        source: a folder that holds model_index.json, or a hub id.
        revision: of the hub; None: its newest.
        family: a name of FAMILIES, or `auto`: what model_index.json says.

    Raises:
        WeightsUnavailable: it is in neither place.
        InvalidInput: it is of no family that can be trained.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        index, commit, licence = _index_of_folder(folder), None, None
        source = str(folder.absolute())
    else:
        index, commit, licence = _index_of_hub(source, revision)
    class_name = str(index.get("_class_name", ""))
    found = BY_PIPELINE.get(class_name)
    if family == "auto" and found is None:
        known = ", ".join(sorted(BY_PIPELINE))
        raise InvalidInput.field("config.base_model", f"{source} is a {class_name}, which is none of {known}")
    if family != "auto" and found is not None and found.name != family:
        raise InvalidInput.field("config.family", f"{source} is a {found.name} model and not {family}")
    name = found.name if found is not None else family
    return BaseModel(source=source, revision=commit, family=name, class_name=class_name, licence=licence)


def load_text_pipeline(base: BaseModel, *, device: torch.device, dtype: torch.dtype) -> Any:
    """The pipeline with its text components alone."""
    family = base.model_family
    return _pipeline(base, keep=family.text_components, dtype=dtype).to(device)


def load_vae(base: BaseModel, *, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The VAE, frozen."""
    vae: nn.Module = _pipeline(base, keep=("vae",), dtype=dtype).vae
    return vae.to(device).requires_grad_(False).eval()


def load_denoiser(
    base: BaseModel, *, device: torch.device, dtype: torch.dtype, quantize: str = "none"
) -> tuple[nn.Module, Mapping[str, Any]]:
    """The denoiser, frozen, and the configuration of the scheduler that it was trained with.

    Args:
        base: what to load.
        device: where to; quantized weights go to the GPU by themselves.
        dtype: of the weights.
        quantize: none, int8 or nf4.
    """
    family = base.model_family
    options = {} if quantize == "none" else {"quantization_config": _quantization(family, quantize, dtype)}
    pipe = _pipeline(base, keep=(family.denoiser, "scheduler"), dtype=dtype, **options)
    denoiser: nn.Module = getattr(pipe, family.denoiser)
    if quantize != "none":
        return denoiser.requires_grad_(False), dict(pipe.scheduler.config)
    return denoiser.to(device).requires_grad_(False), dict(pipe.scheduler.config)


def load_for_sampling(base: BaseModel, denoiser: nn.Module, vae: nn.Module) -> Any:
    """The pipeline around a denoiser in training; prompts come encoded."""
    family = base.model_family
    pipe = _pipeline(base, keep=("scheduler",), dtype=None)
    pipe.register_modules(**{family.denoiser: denoiser, "vae": vae})
    pipe.set_progress_bar_config(disable=True)
    return _with_vae_scale(pipe, vae)


def _quantization(family: Family, quantize: str, dtype: torch.dtype) -> Any:
    if importlib.util.find_spec("bitsandbytes") is None or not torch.cuda.is_available():
        problem = f"{quantize} needs a GPU and bitsandbytes (pip install bitsandbytes) on every worker"
        raise InvalidInput.field("config.quantize_base", problem)
    from diffusers import PipelineQuantizationConfig

    options: dict[str, Any] = {"load_in_8bit": True}
    if quantize == "nf4":
        options = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
    backend = "bitsandbytes_8bit" if quantize == "int8" else "bitsandbytes_4bit"
    return PipelineQuantizationConfig(
        quant_backend=backend, quant_kwargs=options, components_to_quantize=[family.denoiser]
    )


def _pipeline(base: BaseModel, *, keep: tuple[str, ...], dtype: torch.dtype | None, **options: Any) -> Any:
    import diffusers

    kind: Any = getattr(diffusers, base.model_family.pipeline)
    left_out = {name: None for name in _components(kind) if name not in keep}
    if dtype is not None:
        options["dtype"] = dtype
    options |= _no_checker(kind)
    try:
        return kind.from_pretrained(
            base.source,
            revision=base.revision,
            local_files_only=base.revision is None,
            use_safetensors=True,
            **options,
            **left_out,
        )
    except (OSError, ValueError) as error:
        raise _unavailable(base.source, error) from error


def _components(kind: Any) -> list[str]:
    expected, _ = kind._get_signature_keys(kind)
    return sorted(expected)


def _no_checker(kind: Any) -> dict[str, bool]:
    """SD 1.5 warns in several lines, each time, of a safety checker that a training has no use for."""
    _, optional = kind._get_signature_keys(kind)
    return {"requires_safety_checker": False} if "requires_safety_checker" in optional else {}


def _with_vae_scale(pipe: Any, vae: nn.Module) -> Any:
    """Pipelines that were made without a VAE guess its scale; make what depends on it anew."""
    rebuilt = type(pipe)(**{**pipe.components, "vae": vae}, **_no_checker(type(pipe)))
    rebuilt.set_progress_bar_config(disable=True)
    return rebuilt


def _index_of_folder(folder: Path) -> dict[str, Any]:
    message = f"config.base_model: {folder} holds no readable {MODEL_INDEX}; give the folder of a diffusers model"
    try:
        index = json.loads((folder / MODEL_INDEX).read_text())
    except (OSError, ValueError) as error:
        raise WeightsUnavailable(message) from error
    if not isinstance(index, dict):
        raise WeightsUnavailable(message)
    return index


def _index_of_hub(source: str, revision: str | None) -> tuple[dict[str, Any], str, str | None]:
    from huggingface_hub import hf_hub_download, model_info
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        path = hf_hub_download(source, MODEL_INDEX, revision=revision)
        index: dict[str, Any] = json.loads(Path(path).read_text())
        commit = Path(path).parent.name  # …/snapshots/<commit>/model_index.json
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise _unavailable(source, error) from error
    try:
        card = model_info(source, revision=commit, timeout=10).card_data
    except (HfHubHTTPError, OSError):
        return index, commit, None  # from the cache, without a network
    return index, commit, getattr(card, "license", None)


def _unavailable(source: str, error: Exception) -> WeightsUnavailable:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if Path(source).is_dir():
        return WeightsUnavailable(
            f"config.base_model: a part of {source} is missing or broken ({reason}); copy it anew"
        )
    return WeightsUnavailable(
        f"config.base_model: {source!r} is neither a folder on this machine nor a model that the Hugging Face hub "
        f"lets us have ({reason}); give a folder, or log in with HF_TOKEN where the model is gated"
    )
