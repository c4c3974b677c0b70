"""demo --video: a film becomes a dataset, the dataset a LoRA, the LoRA a version; all on this machine.

The film is drawn here, its cuts are known. The model that is trained on is random and tiny, so that it takes minutes
on a CPU: what comes out shows that everything works, and draws no fish.
"""

from __future__ import annotations

import importlib.util
import json as jsonlib
from pathlib import Path
from typing import Any

from rich.text import Text

from thornback.cli.exits import Exit, exit_of_job
from thornback.cli.output import Output
from thornback.cli.platform_commands import start, tell_addresses
from thornback.cli.watch import show_job, tell_end
from thornback.client import Client, Job
from thornback.errors import InvalidInput
from thornback.jobs.status import JobStatus
from thornback.node.process import NodeProcess
from thornback.node.record import NodeRecord
from thornback.settings import Settings

JOB_NAME = "A fish, filmed"
MODEL = "fish"
STEPS = 60
SCENES = 12

_NEEDED = {"av": "video", "cv2": "video", "diffusers": "lora", "transformers": "lora"}  # package -> extra


def check_installed() -> None:
    """Raises InvalidInput where the extras are missing that this takes."""
    missing = sorted({extra for name, extra in _NEEDED.items() if importlib.util.find_spec(name) is None})
    if missing:
        raise InvalidInput.field("--video", f"needs more packages: pip install 'thornback[{','.join(missing)}]'")


def video_spec(video: Path, model: Path) -> dict[str, Any]:
    """The pipeline."""
    return {
        "kind": "video_lora",
        "backend": "ray",
        "job_name": JOB_NAME,
        "config": {
            "video_url": str(video),
            "trigger_word": "TOK",
            "model": MODEL,
            "steps": STEPS,
            "rank": 4,
            "base_model": str(model),
            "training": {
                "resolution": [128],
                "accelerator": "cpu",
                "validation_split": 0.2,
                "validate_every": 20,
                "log_every_steps": 2,
                "sample_prompts": ["a photo of [trigger]"],
                "sample_every": 30,
                "sample_steps": 2,
            },
        },
    }


def run_video(node: NodeProcess, settings: Settings, output: Output) -> tuple[Exit, NodeRecord]:
    """From the film to the version."""
    from thornback.lora.tiny_flux import write_tiny_flux  # torch and diffusers: seconds
    from thornback.media.sample_clip import write_sample_clip

    video, model = settings.home / "fish.mp4", settings.home / "tiny-flux"
    output.note(f"drawing a film of {SCENES} scenes: {video}")
    cuts = write_sample_clip(video, scenes=SCENES)
    output.note(f"making a tiny model to train on: {model}")
    write_tiny_flux(model)
    record = start(node, output, hold=True)
    tell_addresses(record, output)
    with Client(record.url) as client:
        job = _order(client, record, settings, video_spec(video, model), output)
        if job.status is not JobStatus.COMPLETED:
            output.note(f"log of the node: {record.log}")
            return exit_of_job(job.status), record
        _tell(client, record, settings, job, cuts, output)
    return Exit.OK, record


def _order(client: Client, record: NodeRecord, settings: Settings, spec: dict[str, Any], output: Output) -> Job:
    file = settings.home / "video_lora.json"
    file.write_text(jsonlib.dumps(spec, indent=2))
    job = client.submit_spec(spec)
    jobs = f"{record.url}/api/v1/training/jobs"
    output.note("")
    output.note(f"{spec['job_name']}: {record.url}/#/jobs/{job.id}")
    output.note(f"  curl -X POST {jobs} -H 'Content-Type: application/json' -d @{file}")
    output.note(f"  curl {record.url}/api/lora/status/{job.id}")
    output.note("")
    job = show_job(client, job.id, output)
    tell_end(job, output)
    return client.get(job.id)


def _tell(client: Client, record: NodeRecord, settings: Settings, job: Job, cuts: list[float], output: Output) -> None:
    dataset, version = client.frame_sets.get(job.id), client.models.version(MODEL)
    output.result({"job": job, "cuts": cuts, "dataset": dataset, "version": version})
    if output.json:
        return
    kept = sum(frame.kept for frame in dataset.frames)
    console = output.stdout
    console.print()
    lines = {
        "film": f"{len(cuts)} scenes; {len(dataset.frames)} frames found, {kept} good enough",
        "frames": f"{record.url}/#/jobs/{job.id}",
        "": f"{record.url}/api/v1/training/jobs/{job.id}/dataset",
        "files": f"{settings.storage}/datasets/local/{job.id}",
        "version": f"{MODEL} v{version.version}, {version.size_bytes} bytes",
        "LoRA": f"{settings.storage}/{version.storage_key}",
        "fetch it": f"thornback models download {MODEL} latest --url {record.url}",
    }
    for name, text in lines.items():
        console.print(Text(f"{name:<10} {text}"), soft_wrap=True)
