"""video: from a video to a version of a LoRA, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from thornback.cli.format import short_id
from thornback.cli.options import Json, Url, connect
from thornback.cli.output import Output, output_of
from thornback.cli.spec_file import assign
from thornback.cli.upload import send_file, told_of
from thornback.cli.watch import follow_job


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("video")(video)


def video(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="VIDEO", help="A file, which is sent first, or https://, s3:// or upload:<id>")
    ],
    trigger: Annotated[str, typer.Option("--trigger", "-t", help="The word that will call the subject")],
    name: Annotated[str | None, typer.Option(help="Of the job [default: the trigger word]")] = None,
    model: Annotated[str | None, typer.Option(help="The model that gets the version [default: by the name]")] = None,
    backend: Annotated[str, typer.Option(help="Who trains: fal, replicate or ray, which is this cluster")] = "fal",
    base_model: Annotated[
        str | None, typer.Option(help="For ray: folder of a diffusers model, or its id on the hub")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of the training")] = None,
    review: Annotated[bool, typer.Option("--review", help="Wait for `thornback approve` before training")] = False,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="E.g. frames.most=100, captions.facts=true")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it until it ends")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Make a LoRA of a video: its scenes become a dataset, that is trained on, the result is a version of a model.

    thornback video cat.mp4 --trigger TOK --backend ray --base-model /models/flux --watch
    """
    output = output_of(ctx)
    config: dict[str, Any] = {"video_url": _address(source, url, output), "trigger_word": trigger, "review": review}
    given = {"model": model, "base_model": base_model, "steps": steps}
    config |= {field: value for field, value in given.items() if value is not None}
    for assignment in assignments or []:
        assign(config, assignment)
    spec = {"kind": "video_lora", "backend": backend, "job_name": name or trigger, "config": config}
    with connect(url) as client:
        job = client.submit_spec(spec)
        if watch:
            output.note(f"job {job.id}")
            raise typer.Exit(follow_job(client, job.id, output))
    output.result(job, Text(job.id))
    output.note(f"see it: thornback watch {short_id(job.id)}; its frames: thornback frames show {short_id(job.id)}")


def _address(source: str, url: str | None, output: Output) -> str:
    """A file of this machine is sent, since the server may be another; anything else is an address already."""
    file = Path(source).expanduser()
    if "://" in source or source.startswith("upload:") or not file.is_file():
        return source
    sent = send_file(file, url, output)
    output.note(told_of(sent))
    return sent.uri
