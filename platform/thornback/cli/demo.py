"""demo: the whole platform on a small true task, from a data set to an ONNX file."""

from __future__ import annotations

import csv
import json as jsonlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.table import Table
from rich.text import Text

from thornback import __version__
from thornback.cli.demo_video import check_installed, run_video
from thornback.cli.exits import Exit, exit_of_job
from thornback.cli.format import percent
from thornback.cli.options import Json
from thornback.cli.output import Output, output_of
from thornback.cli.platform_commands import ending, start, tell_addresses
from thornback.cli.watch import show_job, tell_end
from thornback.client import Client, Job
from thornback.errors import InvalidInput
from thornback.jobs.status import JobStatus
from thornback.node.ports import is_free, next_free
from thornback.node.process import NodeProcess, clean_up
from thornback.node.record import NodeFile, NodeRecord
from thornback.settings import Settings, load_settings

CLIPS = 3000  # half of them pass the filters
SEED = 7
JOB_NAME = "Radio signals"

# Put beside the model; needs onnxruntime and soundfile, and nothing of ours.
_USE_MODEL = """\
import json
import sys

import numpy
import onnxruntime
import soundfile

session = onnxruntime.InferenceSession({onnx!r})
facts = session.get_modelmeta().custom_metadata_map
labels, samples = json.loads(facts["labels"]), int(facts["samples"])
for file in sys.argv[1:] or [{clip!r}]:
    wave, rate = soundfile.read(file, dtype="float32")  # mono, {rate} Hz
    wave = numpy.pad(wave, (0, max(0, samples - len(wave))))[:samples]
    [probabilities] = session.run(["probabilities"], {{"waveform": wave[None, :]}})
    best = probabilities[0].argmax()
    print(f"{{file}}: {{labels[best]}} ({{probabilities[0][best]:.0%}})")
"""


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("demo")(demo)


def demo(
    ctx: typer.Context,
    exit_after: Annotated[bool, typer.Option("--exit", help="End after the result")] = False,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", help="Of the API [default: 8001, or the next that is free]", min=1, max=65_535),
    ] = None,
    clips: Annotated[int, typer.Option(help="Size of the data set", min=160)] = CLIPS,
    epochs: Annotated[int | None, typer.Option(help="Fewer are quicker and learn less", min=1)] = None,
    remote: Annotated[
        bool, typer.Option("--remote", help="A LoRA and an image set at a simulated provider instead; costs nothing")
    ] = False,
    video: Annotated[
        bool, typer.Option("--video", help="From a film that is drawn here to a LoRA of a tiny model instead")
    ] = False,
    json: Json = False,
) -> None:
    """Train a small model on radio signals through the API, live; about three minutes on two cores.

    Everything is in the folder `demo` of THORNBACK_HOME, and each demo replaces the last one.
    """
    output = output_of(ctx)
    if remote and video:
        raise InvalidInput.field("--video", "is another demo than --remote; choose one")
    if video:
        check_installed()
    settings = _demo_settings(load_settings(), port, output)
    _forget_last(settings, output)
    if remote:
        _demo_remote(settings, output, exit_after=exit_after)
    if video:
        _demo_video(settings, output, exit_after=exit_after)
    manifest = _make_data(settings, clips, output)
    settings = settings.model_copy(update={"dataset": str(manifest)})
    node = NodeProcess(settings)
    with ending(node, output, keep=False):
        try:
            raise typer.Exit(_run(node, settings, manifest, epochs, output, exit_after=exit_after))
        except KeyboardInterrupt:
            output.note("interrupted; stopping everything")
            raise typer.Exit(Exit.INTERRUPTED) from None


def _demo_remote(settings: Settings, output: Output, *, exit_after: bool) -> NoReturn:
    from thornback.cli.demo_remote import remote_settings, run_remote, simulator  # pictures need Pillow

    with simulator(settings, output) as url:
        settings = remote_settings(settings, url)
        node = NodeProcess(settings)
        with ending(node, output, keep=False):
            try:
                code, record = run_remote(node, settings, output)
                if code is Exit.OK and not exit_after:
                    _hold(node, record, output)
            except KeyboardInterrupt:
                output.note("interrupted; stopping everything")
                code = Exit.INTERRUPTED
    raise typer.Exit(code)


def _demo_video(settings: Settings, output: Output, *, exit_after: bool) -> NoReturn:
    node = NodeProcess(settings)
    with ending(node, output, keep=False):
        try:
            code, record = run_video(node, settings, output)
            if code is Exit.OK and not exit_after:
                _hold(node, record, output)
        except KeyboardInterrupt:
            output.note("interrupted; stopping everything")
            code = Exit.INTERRUPTED
    raise typer.Exit(code)


def _run(
    node: NodeProcess, settings: Settings, manifest: Path, epochs: int | None, output: Output, *, exit_after: bool
) -> Exit:
    record = start(node, output, hold=True)
    tell_addresses(record, output)
    spec = _write_spec(settings, manifest, epochs)
    with Client(record.url, api_key=settings.api_key) as client:
        job = client.submit_spec(spec)
        _tell_curl(record, job, settings, output)
        job = show_job(client, job.id, output)
    if job.status is not JobStatus.COMPLETED:
        tell_end(job, output)
        output.note(f"logs of the node: {record.log}")
        return exit_of_job(job.status)
    _tell_result(job, manifest, output)
    if not exit_after:
        _hold(node, record, output)
    return Exit.OK


def _demo_settings(settings: Settings, port: int | None, output: Output) -> Settings:
    """A home of its own, beside the user's: nothing of theirs is touched."""
    home = settings.home / "demo"
    wanted = port or settings.port
    if port is None and not is_free(settings.host, wanted):
        free = next_free(settings.host, wanted + 1)
        output.note(f"port {wanted} is in use; taking {free} (choose with --port)")
        wanted = free
    return load_settings(
        **{
            **settings.model_dump(include={"host", "dashboard_host", "dashboard_port", "log_level"}),
            "home": home,
            "database_url": f"sqlite:///{home / 'thornback.db'}",
            "storage": str(home / "runs"),
            "port": wanted,
            "ray_address": None,
            "public_url": None,
        }
    )


def _forget_last(settings: Settings, output: Output) -> None:
    """Remove the last demo's database and runs."""
    file = NodeFile(settings.home)
    clean_up(file)  # refuses while another demo runs
    for name in ("thornback.db", "thornback.db-wal", "thornback.db-shm"):
        (settings.home / name).unlink(missing_ok=True)
    shutil.rmtree(settings.home / "runs", ignore_errors=True)
    settings.home.mkdir(parents=True, exist_ok=True)
    output.note(f"demo folder    {settings.home}")


def _make_data(settings: Settings, clips: int, output: Output) -> Path:
    """Make the data set unless it is there."""
    from thornback.datasets.radio import MANIFEST, make_radio_dataset  # numpy and soundfile

    folder = settings.home / f"radio-{__version__}-{clips}-{SEED}"
    if not (folder / MANIFEST).is_file():
        output.note(f"making {clips} clips of radio signals in {folder}")
        make_radio_dataset(folder, clips=clips, seed=SEED)
    return folder / MANIFEST


def _write_spec(settings: Settings, manifest: Path, epochs: int | None) -> dict[str, Any]:
    """The job, also as a file for curl and `thornback submit`."""
    from thornback.datasets.radio import demo_config

    config = demo_config(manifest)
    if epochs is not None:
        config |= {"epochs": epochs, "warmup_epochs": min(config["warmup_epochs"], epochs - 1)}
    spec = {"job_name": JOB_NAME, "config": config}
    (settings.home / "job.json").write_text(jsonlib.dumps(spec, indent=2))
    return spec


def _tell_curl(record: NodeRecord, job: Job, settings: Settings, output: Output) -> None:
    jobs = f"{record.url}/api/v1/training/jobs"
    output.note("")
    output.note(f"The job was posted to {jobs}; the same by hand:")
    output.note(f"  curl -X POST {jobs} -H 'Content-Type: application/json' -d @{settings.home / 'job.json'}")
    output.note(f"  curl {jobs}/{job.id}")
    output.note(f"  curl {jobs}/{job.id}/metrics")
    output.note(f"  curl -N {jobs}/{job.id}/events")
    output.note("")


def _tell_result(job: Job, manifest: Path, output: Output) -> None:
    classes: list[str] = list(job.facts.get("class_names") or [])
    accuracy = job.facts.get("val_accuracy", job.val_accuracy)
    chance = 1 / len(classes) if classes else None
    onnx = job.onnx_model_path
    output.result(
        {
            "job": job,
            "val_accuracy": accuracy,
            "chance": chance,
            "classes": classes,
            "confusion_matrix": job.facts.get("confusion_matrix"),
            "onnx": onnx,
        }
    )
    if output.json:
        return
    console = output.stdout
    console.print()
    console.print(
        Text.assemble(
            "validation accuracy ",
            (percent(accuracy), "bold green"),
            f"  (chance: {percent(chance)}; {job.train_samples} clips to learn from, {job.val_samples} to check)",
        )
    )
    if matrix := job.facts.get("confusion_matrix"):
        console.print("rows: what a clip is; columns: what the model took it for", style="dim")
        console.print(confusion_table(classes, matrix))
    if onnx:
        script = _write_use(job, manifest, onnx)
        console.print(Text(f"ONNX model     {onnx}"), soft_wrap=True)
        console.print(Text(f"use it         {sys.executable} {script} [CLIP.wav …]"), soft_wrap=True)


def _write_use(job: Job, manifest: Path, onnx: str) -> Path:
    with manifest.open(encoding="utf-8", newline="") as rows:
        clearest = max(csv.DictReader(rows), key=lambda row: float(row["snr_db"]))
    clip = manifest.parent / clearest["path"]
    script = Path(onnx).with_name("use_model.py")
    script.write_text(_USE_MODEL.format(clip=str(clip), onnx=onnx, rate=job.config["sample_rate"]))
    return script


def confusion_table(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> Table:
    """Rows are what a clip is, columns what the model took it for."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right", no_wrap=True, style="dim")
    for name in classes:
        table.add_column(name, justify="right", no_wrap=True)
    for row, (name, counts) in enumerate(zip(classes, matrix, strict=True)):
        cells = [
            Text(str(count) if count else "·", style="bold green" if column == row else "red" if count else "dim")
            for column, count in enumerate(counts)
        ]
        table.add_row(name, *cells)
    return table


def _hold(node: NodeProcess, record: NodeRecord, output: Output) -> None:
    output.note("")
    output.note(f"Still running: {record.url}   Ctrl-C stops everything.")
    try:
        node.wait()
    except KeyboardInterrupt:
        output.note("stopping everything")
