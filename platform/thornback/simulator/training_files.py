"""What a finished training leaves behind."""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from thornback.simulator.dataset import Dataset
from thornback.simulator.logs import JOB_NAME
from thornback.simulator.lora_file import lora_file
from thornback.simulator.models import Trainer
from thornback.simulator.orders import Order


def weights(order: Order, trainer: Trainer, part: int = 0) -> Callable[[], bytes]:
    """Makes the LoRA when it is asked for."""
    inputs = order.inputs
    rank = inputs.get("lora_rank", 16)
    trigger = str(inputs.get("trigger_word") or inputs.get("trigger_phrase") or "TOK")
    seed = zlib.crc32(order.id.encode()) + part
    return lambda: lora_file(trainer.family, rank=rank, seed=seed, trigger=trigger, steps=trainer.steps_of(inputs))


def replicate_tar(order: Order, trainer: Trainer, dataset: Dataset) -> Callable[[], bytes]:
    """flux-fine-tuner's archive: the LoRA, its config and the captions below `output/`."""
    lora = weights(order, trainer)
    config = _yaml(order.inputs, trainer)
    trigger = str(order.inputs.get("trigger_word", "TOK"))

    def make() -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            folder = f"output/{JOB_NAME}"
            _put(archive, f"{folder}/lora.safetensors", lora())
            _put(archive, f"{folder}/config.yaml", config.encode())
            for name in dataset.pictures:
                caption = f"a photo of {trigger}\n"
                _put(archive, f"{folder}/captions/{name.rsplit('.', 1)[0]}.txt", caption.encode())
        return out.getvalue()

    return make


def fal_config(order: Order, trainer: Trainer) -> bytes:
    """The config file that fal hands out beside the weights."""
    return json.dumps({"endpoint": order.endpoint, "steps": trainer.steps_of(order.inputs), **order.inputs}).encode()


def _put(archive: tarfile.TarFile, name: str, body: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(body)
    archive.addfile(info, io.BytesIO(body))


def _yaml(inputs: Mapping[str, Any], trainer: Trainer) -> str:
    rank = inputs.get("lora_rank", 16)
    return (
        "job: extension\n"
        "config:\n"
        f"  name: {JOB_NAME}\n"
        "  process:\n"
        "  - type: custom_sd_trainer\n"
        f"    trigger_word: {json.dumps(inputs.get('trigger_word', 'TOK'))}\n"
        f"    network: {{type: lora, linear: {rank}, linear_alpha: {rank}}}\n"
        f"    train: {{steps: {trainer.steps_of(inputs)}, lr: {inputs.get('learning_rate', 4e-4)}}}\n"
    )
