"""How a training and a prediction go at Replicate, from the queue to the webhook at the end."""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import partial

from thornback.simulator import dataset as data
from thornback.simulator import logs
from thornback.simulator.ids import version_id
from thornback.simulator.models import Hosted, ImageModel, Trainer, faults_of_input, replicate_error
from thornback.simulator.orders import Order, Status
from thornback.simulator.pictures import CONTENT_TYPES, SUFFIXES, picture, replicate_size
from thornback.simulator.scheduler import Run
from thornback.simulator.simulator import Simulator
from thornback.simulator.training_files import replicate_tar

_START_S = 0.3  # the webhook for `start` follows the answer to the create call
_DOWNLOAD_S = 26.188
_OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.25 GiB"
_NOT_CREATED = "Failed to create trained image after successful training run."


async def training(sim: Simulator, order: Order, trainer: Trainer) -> Run:
    """A LoRA training."""
    yield _START_S
    sim.notify(order, "start")
    if order.mishaps & {"stuck", "vanish"}:
        return
    yield sim.scenario.queue_s
    if not _begin(sim, order, trainer):
        return
    for line in _first_lines(order):
        sim.say(order, line)
    sim.say(order, logs.pget_begin(sim.clock.now()))
    download_s = min(_DOWNLOAD_S, sim.scenario.setup_s / 2)
    yield download_s
    sim.say(order, *logs.pget_end(sim.clock.now(), sim.clock.scaled(download_s)))
    try:
        dataset = await _dataset(sim, order, trainer)
    except data.DatasetFailed as failed:
        _fail(sim, order, str(failed))
        return
    sim.say(order, f"Extracted {dataset.files} files from zip to input_images")
    if order.inputs.get("autocaption", True):
        sim.say(order, *logs.captions(dataset.uncaptioned, str(order.inputs.get("trigger_word", "TOK"))))
    steps = trainer.steps_of(order.inputs)
    setup_s = sim.scenario.setup_s - download_s
    for wait, line in logs.job(order.inputs, steps, len(dataset.pictures), setup_s):
        if wait:
            yield wait
        sim.say(order, line)
    rate = float(order.inputs.get("learning_rate", 4e-4))
    for wait, line in logs.replicate_bars(sim.pace(steps, trainer.step_s), rate, sim.random_of(order)):
        if wait:
            yield wait
        sim.say(order, line)
        if "fail" in order.mishaps and f" {steps // 2}/" in line:
            _fail(sim, order, _OUT_OF_MEMORY)
            return
    yield sim.scenario.save_s
    _finish(sim, order, trainer, dataset)


async def prediction(sim: Simulator, order: Order, model: ImageModel) -> Run:
    """Pictures of a prompt."""
    yield 0.0
    sim.notify(order, "start")
    if order.mishaps & {"stuck", "vanish"}:
        return
    yield sim.scenario.image_queue_s
    if not _begin(sim, order, model):
        return
    seed = order.inputs.get("seed")
    seed = seed if isinstance(seed, int) else zlib.crc32(order.id.encode()) % 100_000
    sim.say(order, *_first_lines(order), f"Using seed: {seed}")
    yield sim.scenario.image_s
    if "fail" in order.mishaps:
        _fail(sim, order, _OUT_OF_MEMORY)
        return
    order.output = [_picture(sim, order, model, seed, number) for number in range(_count(order, model))]
    order.image_count = len(order.output)
    sim.notify(order, "output")
    if "succeed_then_fail" in order.mishaps:
        _fail(sim, order, _NOT_CREATED)
    else:
        sim.end(order, Status.SUCCEEDED, output=order.output)
    yield sim.scenario.output_ttl_s
    sim.remove_data(order)


def _begin(sim: Simulator, order: Order, model: Trainer | ImageModel) -> bool:
    """Whether the order gets to work."""
    if "aborted" in order.mishaps:
        sim.end(order, Status.ABORTED)
        return False
    if faults := faults_of_input(model, order.inputs, "body", "input"):
        order.started_at = sim.clock.now()  # and completed at the same moment
        sim.end(order, Status.FAILED, error=replicate_error(faults))
        return False
    sim.begin(order)
    return True


def _first_lines(order: Order) -> list[str]:
    return ["\x1b[32mcolours\x1b[0m on\rthe line again"] if "control_characters" in order.mishaps else []


async def _dataset(sim: Simulator, order: Order, trainer: Trainer) -> data.Dataset:
    url = str(order.inputs[trainer.dataset])
    own = url.startswith(f"{sim.url}/v1/")  # an uploaded file, which only we can read
    headers = {"Authorization": f"Bearer {sim.scenario.replicate_token}"} if own else None
    return data.open_zip(
        await data.fetch(f"{url}/download" if own and "/download" not in url else url, headers=headers)
    )


def _finish(sim: Simulator, order: Order, trainer: Trainer, dataset: data.Dataset) -> None:
    if "succeed_then_fail" in order.mishaps:
        sim.end(order, Status.FAILED, error=_NOT_CREATED)
        return
    make = replicate_tar(order, trainer, dataset)
    file = sim.files.add("trained_model.tar", "application/x-tar", make, ttl_s=sim.ttl_of(order))
    output = {"weights": f"{sim.url}/delivery/xezq/{file.id}/{file.name}"}
    if order.destination:
        version = version_id()
        hosted = sim.models.get(order.destination) or Hosted(model=ImageModel())
        sim.models[order.destination] = replace(hosted, versions=(*hosted.versions, version))
        output = {"version": f"{order.destination}:{version}", **output}
    sim.end(order, Status.SUCCEEDED, output=output)


def _fail(sim: Simulator, order: Order, error: str) -> None:
    sim.say(order, *logs.TRACEBACK, error)
    sim.end(order, Status.FAILED, error=error)


def _count(order: Order, model: ImageModel) -> int:
    count = order.inputs.get(model.count, 1)
    return min(max(count, 1), 4) if isinstance(count, int) else 1


def _picture(sim: Simulator, order: Order, model: ImageModel, seed: int, number: int) -> str:
    form = str(order.inputs.get("output_format", model.format))
    form = form if form in SUFFIXES else model.format
    quality = order.inputs.get("output_quality", 80)
    prompt = str(order.inputs.get("prompt", ""))
    make = partial(
        picture,
        prompt,
        seed + number,
        replicate_size(order.inputs),
        form,
        quality=quality if isinstance(quality, int) else 80,
    )
    file = sim.files.add(f"out-{number}.{SUFFIXES[form]}", CONTENT_TYPES[form], make, ttl_s=sim.ttl_of(order))
    return f"{sim.url}/delivery/xezq/{file.id}/{file.name}"
