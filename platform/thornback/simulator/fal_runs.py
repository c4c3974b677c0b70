"""How a request goes at fal, from the queue to its only webhook."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

from thornback.simulator import dataset as data
from thornback.simulator import logs
from thornback.simulator.models import ImageModel, Model, Trainer, faults_of_input
from thornback.simulator.orders import Order, Status
from thornback.simulator.pictures import CONTENT_TYPES, SUFFIXES, fal_size, picture
from thornback.simulator.scheduler import Run
from thornback.simulator.simulator import Simulator
from thornback.simulator.training_files import fal_config, weights

_OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.25 GiB"


async def request(sim: Simulator, order: Order, model: Model) -> Run:
    """A LoRA training or pictures of a prompt."""
    if order.mishaps & {"stuck", "vanish"}:
        return
    yield sim.scenario.queue_s if isinstance(model, Trainer) else sim.scenario.image_queue_s
    if order.mishaps & {"aborted", "unavailable"}:
        _fail(sim, order, 503, "No runner could be scheduled", "runner_scheduling_failure")
        return
    sim.begin(order)
    if faults := faults_of_input(model, order.inputs, "body"):
        _refuse(sim, order, faults)
        return
    if isinstance(model, ImageModel):
        yield sim.scenario.image_s
        if "fail" in order.mishaps:
            _fail(sim, order, 500, _OUT_OF_MEMORY, "internal_server_error")
        else:
            sim.end(order, Status.SUCCEEDED, output=_pictures(sim, order, model))
        return
    async for wait in _train(sim, order, model):
        yield wait


async def _train(sim: Simulator, order: Order, trainer: Trainer) -> Run:
    if "control_characters" in order.mishaps:
        sim.say(order, "\x1b[32mcolours\x1b[0m on\rthe line again")
    yield sim.scenario.setup_s / 2
    try:
        dataset = await _dataset(order, trainer)
    except data.DatasetFailed as failed:
        _refuse(sim, order, [_dataset_fault(trainer, failed)])
        return
    sim.say(order, *logs.fal_begin(dataset.pictures))
    yield sim.scenario.setup_s / 2
    steps = trainer.steps_of(order.inputs)
    for wait, line in logs.fal_bars(sim.pace(steps, trainer.step_s), sim.random_of(order)):
        if wait:
            yield wait
        sim.say(order, line)
        if "fail" in order.mishaps and f" {steps // 2}/" in line:
            _fail(sim, order, 500, _OUT_OF_MEMORY, "internal_server_error")
            return
    yield sim.scenario.save_s
    if "succeed_then_fail" in order.mishaps:
        _fail(sim, order, 500, "The result could not be uploaded", "internal_server_error")
        return
    sim.say(order, "Model saved")
    sim.end(order, Status.SUCCEEDED, output=_weights(sim, order, trainer))


def _fail(sim: Simulator, order: Order, status: int, words: str, kind: str) -> None:
    """End a request by an error of the platform."""
    order.result_status, order.error_type = status, kind
    sim.end(order, Status.FAILED, error=words)


def _refuse(sim: Simulator, order: Order, faults: list[dict[str, Any]]) -> None:
    order.result_status, order.error_type = 422, "validation_error"
    sim.end(order, Status.FAILED, error="Invalid status code: 422", output=faults)


async def _dataset(order: Order, trainer: Trainer) -> data.Dataset:
    dataset = data.open_zip(await data.fetch(str(order.inputs[trainer.dataset])))
    if len(dataset.pictures) < trainer.least_images:
        words = f"{len(dataset.pictures)} images in the archive, at least {trainer.least_images} are needed"
        raise data.DatasetFailed(words, fetched=True)
    return dataset


def _dataset_fault(trainer: Trainer, failed: data.DatasetFailed) -> dict[str, Any]:
    words = (
        f"Failed to read the archive: {failed}"
        if failed.fetched
        else "Failed to download the file. Please check if the URL is accessible and try again."
    )
    kind = "value_error" if failed.fetched else "file_download_error"
    return {"loc": ["body", trainer.dataset], "msg": words, "type": kind}


def _weights(sim: Simulator, order: Order, trainer: Trainer) -> dict[str, Any]:
    output = {
        name: _file(sim, order, "pytorch_lora_weights.safetensors", weights(order, trainer, part))
        for part, name in enumerate(trainer.files)
    }
    config = fal_config(order, trainer)
    return {**output, "config_file": _file(sim, order, "config.json", lambda: config)}


def _file(sim: Simulator, order: Order, name: str, make: Callable[[], bytes]) -> dict[str, Any]:
    kind = "application/json" if name.endswith(".json") else "application/octet-stream"
    file = sim.files.add(name, kind, make, ttl_s=sim.ttl_of(order))
    return {
        "url": f"{sim.url}/files/b/{file.id}/{name}",
        "content_type": kind,
        "file_name": name,
        "file_size": len(file.body),
    }


def _pictures(sim: Simulator, order: Order, model: ImageModel) -> dict[str, Any]:
    inputs = order.inputs
    seed = inputs.get("seed")
    seed = seed if isinstance(seed, int) else zlib.crc32(order.id.encode())
    form = str(inputs.get("output_format", model.format))
    form = form if form in SUFFIXES else model.format
    width, height = fal_size(inputs)
    prompt, count = str(inputs["prompt"]), inputs.get(model.count, 1)
    images = []
    for number in range(count if isinstance(count, int) else 1):
        make = partial(picture, prompt, seed + number, (width, height), form)
        file = sim.files.add(f"{number}.{SUFFIXES[form]}", CONTENT_TYPES[form], make, ttl_s=sim.ttl_of(order))
        address = f"{sim.url}/files/b/{file.id}/{file.name}"
        images.append({"url": address, "width": width, "height": height, "content_type": CONTENT_TYPES[form]})
    return {
        "images": images,
        "timings": {"inference": sim.clock.scaled(sim.scenario.image_s)},
        "seed": seed,
        "has_nsfw_concepts": [False] * len(images),
        "prompt": prompt,
    }
