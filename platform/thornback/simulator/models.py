"""The trainers and image models that the simulator knows, with the limits that the true ones check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Family = Literal["flux", "wan", "qwen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """One that makes a LoRA."""

    dataset: str = "images_data_url"  # names of its inputs
    steps: str = "steps"
    least: int = 1
    most: int = 10_000
    default: int = 1000
    trigger: str | None = None  # an input that it cannot do without
    step_s: float = 0.3
    family: Family = "flux"
    files: tuple[str, ...] = ("diffusers_lora_file",)  # fal: names of the weights in its output
    least_images: int = 1

    def steps_of(self, inputs: Mapping[str, Any]) -> int:
        """How many it will train."""
        steps = inputs.get(self.steps)
        return steps if isinstance(steps, int) else self.default


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageModel:
    """One that makes pictures of a prompt."""

    count: str = "num_outputs"  # the name of its input
    format: str = "webp"  # unless asked for another
    most_steps: int = 50


Model = Trainer | ImageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """A model at Replicate."""

    model: Model
    versions: tuple[str, ...] = ()
    official: bool = False  # predictions then say that their version is hidden
    extras: Mapping[str, Any] = field(default_factory=dict)  # as models.create gave them


REPLICATE: Mapping[str, Hosted] = {
    "ostris/flux-dev-lora-trainer": Hosted(
        model=Trainer(dataset="input_images", least=3, most=6000, step_s=1.05),
        versions=(
            "4ffd32160efd92e956d39c5338a9b8fbafca58e03f791f6d8011f3e20e8ea6fa",
            "6029be968faad5bcc6d44e827af89eee22d61c35f3b5d0950751815506a9db04",
            "885394e6a31c6f349dd4f9e6e7ffbabd8d9840ab2559ab78aed6b2451ab2cfef",
            "b6af14222e6bd9be257cbc1ea4afda3cd0503e1133083b9d1de0364d8568e6ef",
        ),
    ),
    "replicate/fast-flux-trainer": Hosted(
        model=Trainer(dataset="input_images", steps="training_steps", trigger="trigger_word", step_s=0.1),
        versions=(
            "f463fbfc97389e10a2f443a8a84b6953b1058eafbf0c9af4d84457ff07cb04db",
            "8b10794665aed907bb98a1a5324cd1d3a8bea0e9b31e65210967fb9c9e2e08ed",
            "56cb4a6447e586e40c6834a7a48b649336ade35325479817ada41cd3d8dcc175",
        ),
    ),
    "black-forest-labs/flux-schnell": Hosted(model=ImageModel(most_steps=4), official=True),
    "black-forest-labs/flux-dev": Hosted(model=ImageModel(), official=True),
}

FAL: Mapping[str, Model] = {
    "fal-ai/flux-lora-fast-training": Trainer(least_images=4),
    "fal-ai/flux-lora-portrait-trainer": Trainer(default=2500, least_images=10),
    "fal-ai/wan-trainer": Trainer(
        dataset="training_data_url",
        steps="number_of_steps",
        least=100,
        most=20_000,
        default=400,
        step_s=4.0,
        family="wan",
        files=("lora_file",),
    ),
    "fal-ai/wan-22-trainer/t2v-a14b": Trainer(
        dataset="training_data_url",
        steps="number_of_steps",
        most=20_000,
        default=400,
        step_s=5.0,
        family="wan",
        files=("high_noise_lora", "low_noise_lora"),
    ),
    "fal-ai/wan-22-image-trainer": Trainer(
        dataset="training_data_url",
        most=20_000,
        trigger="trigger_phrase",
        step_s=1.0,
        family="wan",
        files=("diffusers_lora_file", "high_noise_lora"),
    ),
    "fal-ai/turbo-flux-trainer": Trainer(step_s=0.2),
    "fal-ai/qwen-image-trainer-v2": Trainer(
        dataset="image_data_url", least=100, most=30_000, step_s=0.8, family="qwen"
    ),
    "fal-ai/flux/schnell": ImageModel(count="num_images", format="jpeg", most_steps=12),
    "fal-ai/flux/dev": ImageModel(count="num_images", format="jpeg"),
    "fal-ai/flux-lora": ImageModel(count="num_images", format="jpeg"),
}


def faults_of_input(model: Model, inputs: Mapping[str, Any], *place: str) -> list[dict[str, Any]]:
    """What the model's own validation says of its inputs, in pydantic 1's words; empty where all is well."""
    if isinstance(model, ImageModel):
        return [] if inputs.get("prompt") else [_missing(*place, "prompt")]
    found = [_missing(*place, name) for name in (model.dataset, model.trigger) if name and not inputs.get(name)]
    steps = inputs.get(model.steps, model.default)
    if isinstance(steps, bool) or not isinstance(steps, int):
        problem = {"msg": "value is not a valid integer", "type": "type_error.integer"}
        found.append({"loc": [*place, model.steps], **problem})
    elif steps < model.least:
        found.append(_bound(*place, model.steps, words="greater", kind="ge", limit=model.least))
    elif steps > model.most:
        found.append(_bound(*place, model.steps, words="less", kind="le", limit=model.most))
    rank = inputs.get("lora_rank", 16)
    if isinstance(rank, int) and not 1 <= rank <= 128:
        low = rank < 1
        found.append(
            _bound(*place, "lora_rank", words="greater" if low else "less", kind="ge" if low else "le",
                   limit=1 if low else 128)
        )  # fmt: skip
    return found


def replicate_error(faults: list[dict[str, Any]]) -> str:
    """How Replicate tells them, as the error of a failed order."""
    return f"Prediction input failed validation: {json.dumps({'detail': faults}, separators=(',', ':'))}"


def _missing(*place: str) -> dict[str, Any]:
    return {"loc": list(place), "msg": "field required", "type": "value_error.missing"}


def _bound(*place: str, words: str, kind: str, limit: int) -> dict[str, Any]:
    return {
        "loc": list(place),
        "msg": f"ensure this value is {words} than or equal to {limit}",
        "type": f"value_error.number.not_{kind}",
        "ctx": {"limit_value": limit},
    }
