"""demo --remote: a LoRA training and an image set at a provider that is simulated on this machine.

The platform is pointed at the simulator by settings alone; nothing in it knows the difference.
"""

from __future__ import annotations

import json as jsonlib
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from rich.text import Text

from thornback.cli.exits import Exit, exit_of_job
from thornback.cli.output import Output
from thornback.cli.platform_commands import start, tell_addresses
from thornback.cli.watch import show_job, tell_end
from thornback.client import Client, Job
from thornback.errors import BackendError
from thornback.jobs.status import JobStatus
from thornback.node.ports import next_free
from thornback.node.process import NodeProcess
from thornback.node.record import NodeRecord
from thornback.settings import Settings

TOKEN = "r8_simulator"  # noqa: S105 - opens the simulator and nothing else
SPEED = 40.0  # a training of half an hour in three quarters of a minute
CHARACTER = "ada"
PICTURES = 12
STARTING_S = 20.0

_SHAPES = ("circle", "square", "triangle")
_COLOURS = {"red": "#d1495b", "blue": "#30638e", "green": "#3f826d", "yellow": "#edae49"}


@contextmanager
def simulator(settings: Settings, output: Output) -> Iterator[str]:
    """A simulator in a process of its own; the value is its address."""
    port = next_free("127.0.0.1", settings.port + 100)
    log = settings.home / "simulator.log"
    command = [sys.executable, "-m", "thornback.cli.main", "simulate", "--port", str(port), "--speed", str(SPEED)]
    with (
        log.open("wb") as sink,
        subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdout=sink,
            stderr=sink,
            start_new_session=True,  # Ctrl-C ends the platform first, which has orders there to end
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            _await(url, process, log)
            output.note(f"simulator      {url}   (Replicate and fal, {SPEED:g} times as quick; log {log})")
            yield url
        finally:
            process.terminate()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTING_S
    with httpx2.Client(timeout=1.0, trust_env=False) as http:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                http.get(f"{url}/v1/account")
            except httpx2.TransportError:
                time.sleep(0.1)
            else:
                return
    raise BackendError(f"the simulator did not start; see {log}", log=str(log))


def remote_settings(settings: Settings, simulator_url: str) -> Settings:
    """The same platform with Replicate at the simulator's address, which can reach us for its webhooks."""
    return settings.model_copy(
        update={
            "replicate_api_token": TOKEN,
            "replicate_url": simulator_url,
            # where the addresses in its answers lead
            "fetch_allow": ",".join(filter(None, [settings.fetch_allow, urlsplit(simulator_url).netloc])),
            "public_url": f"http://{settings.host}:{settings.port}",
        }
    )


def run_remote(node: NodeProcess, settings: Settings, output: Output) -> tuple[Exit, NodeRecord]:
    """Start the platform, train, make images; returns how it went."""
    dataset = make_dataset(settings.home / "pictures.zip")
    output.note(f"dataset        {dataset}   ({PICTURES} drawn pictures with captions)")
    record = start(node, output, hold=True)
    tell_addresses(record, output)
    with Client(record.url) as client:
        training = _order(client, record, settings, lora_spec(dataset), output)
        if training.status is not JobStatus.COMPLETED:
            return _failed(training, record, output), record
        images = _order(client, record, settings, image_spec(), output)
        if images.status is not JobStatus.COMPLETED:
            return _failed(images, record, output), record
        _tell(client, record, settings.storage, training.id, images.id, output)
    return Exit.OK, record


def lora_spec(dataset: Path) -> dict[str, Any]:
    """The training."""
    config = {"dataset": str(dataset), "trigger_word": "TOK", "captioning": "manual", "steps": 1000}
    return {
        "job_name": "Shapes LoRA",
        "kind": "lora",
        "backend": "replicate",
        "config": {**config, "destination": "simulator/shapes"},
    }


def image_spec() -> dict[str, Any]:
    """The image set."""
    config = {
        "character": CHARACTER,
        "prompt_template": "photo of {character}, {view}, {light}",
        "variables": {"view": ["front view", "in profile", "from behind"], "light": ["daylight", "studio light"]},
        "count": 6,
        "seed": 7,
    }
    return {"job_name": "Six images of Ada", "kind": "image_set", "backend": "replicate", "config": config}


def make_dataset(target: Path) -> Path:
    """A ZIP of drawn shapes, each with a caption of the same name."""
    from PIL import Image, ImageDraw

    draw = random.Random(7)  # noqa: S311 - pictures, not secrets
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number in range(1, PICTURES + 1):
            shape, (colour, value) = draw.choice(_SHAPES), draw.choice(list(_COLOURS.items()))
            picture = Image.new("RGB", (512, 512), "#f4f1ea")
            x, y, size = draw.randint(20, 180), draw.randint(20, 180), draw.randint(160, 300)
            corners = {"circle": 64, "square": 4, "triangle": 3}[shape]
            ImageDraw.Draw(picture).regular_polygon((x + size // 2, y + size // 2, size // 2), corners, fill=value)
            content = BytesIO()
            picture.save(content, "PNG")
            archive.writestr(f"{number:02}.png", content.getvalue())
            archive.writestr(f"{number:02}.txt", f"TOK, a {colour} {shape} on paper")
    return target


def _order(client: Client, record: NodeRecord, settings: Settings, spec: dict[str, Any], output: Output) -> Job:
    file = settings.home / f"{spec['kind']}.json"
    file.write_text(jsonlib.dumps(spec, indent=2))
    job = client.submit_spec(spec)
    jobs = f"{record.url}/api/v1/training/jobs"
    output.note("")
    output.note(f"{spec['job_name']}: {record.url}/#/jobs/{job.id}")
    output.note(f"  curl -X POST {jobs} -H 'Content-Type: application/json' -d @{file}")
    if spec["kind"] == "lora":
        output.note(f"  curl {record.url}/api/replicate/training-logs/{job.id}")
    output.note("")
    job = show_job(client, job.id, output)
    tell_end(job, output)
    return client.get(job.id)


def _failed(job: Job, record: NodeRecord, output: Output) -> Exit:
    output.note(f"log of the node: {record.log}")
    return exit_of_job(job.status)


def _tell(client: Client, record: NodeRecord, storage: str, training_id: str, images_id: str, output: Output) -> None:
    weights, pictures = client.artifacts(training_id), client.items(images_id)
    training, images = client.get(training_id), client.get(images_id)
    output.result({"training": training, "images": images, "weights": weights, "pictures": pictures})
    if output.json:
        return
    console = output.stdout
    console.print()
    for job in (training, images):
        cost = f"   {job.cost_usd:.3f} USD" if job.cost_usd is not None else ""
        console.print(Text(f"{job.job_name:<20} {record.url}/#/jobs/{job.id}{cost}"), soft_wrap=True)
    for file in weights:
        console.print(Text(f"{file.type:<20} {file.uri}"), soft_wrap=True)
    for picture in pictures:
        console.print(Text(f"image {picture.item:<14} {storage}/{picture.storage_key}"), soft_wrap=True)
    console.print(Text(f"providers            {record.url}/api/v1/providers"), soft_wrap=True)
    console.print(Text(f"reports              {record.url}/api/v1/reports"), soft_wrap=True)
