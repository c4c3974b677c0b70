"""frames show, drop, keep, caption, download, and approve: the dataset that a pipeline makes from a video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from thornback.cli.options import JobId, Json, LastJobId, Url, connect, find_job
from thornback.cli.output import Output, output_of
from thornback.client.frame_sets import FrameSet

app = typer.Typer(no_args_is_help=True, help="Frames of a video that a LoRA is made from.")

FrameIds = Annotated[list[str], typer.Argument(metavar="FRAME...", help="Ids of frames, as `show` lists them")]


def register(root: typer.Typer) -> None:
    """Add these commands."""
    for command in (show, drop, keep, caption, download):
        app.command()(command)
    root.add_typer(app, name="frames")
    root.command()(approve)


def show(
    ctx: typer.Context,
    job: LastJobId = "last",
    kept: Annotated[bool | None, typer.Option("--kept/--dropped", help="Only these [default: all]")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """List the frames of a dataset with their captions, and why others were dropped."""
    output = output_of(ctx)
    with connect(url) as client:
        found = client.frame_sets.get(find_job(client, job).id, kept=kept)
    output.result(found, _table(found))
    _summary(output, found)


def drop(ctx: typer.Context, job: JobId, frames: FrameIds, url: Url = None, json: Json = False) -> None:
    """Leave frames out of a dataset in review."""
    _change(ctx, job, {frame: {"kept": False} for frame in frames}, url)


def keep(ctx: typer.Context, job: JobId, frames: FrameIds, url: Url = None, json: Json = False) -> None:
    """Take frames back that were dropped."""
    _change(ctx, job, {frame: {"kept": True} for frame in frames}, url)


def caption(
    ctx: typer.Context,
    job: JobId,
    frame: Annotated[str, typer.Argument(help="Its id")],
    text: Annotated[str, typer.Argument(help="[trigger] stands for the trigger word")],
    url: Url = None,
    json: Json = False,
) -> None:
    """Write the caption of a frame in review."""
    _change(ctx, job, {frame: {"caption": text}}, url)


def download(
    ctx: typer.Context,
    job: JobId,
    target: Annotated[Path, typer.Argument(help="A ZIP, or a folder for it")] = Path(),
    url: Url = None,
    json: Json = False,
) -> None:
    """Fetch what was trained on, with captions, as one ZIP."""
    with connect(url) as client:
        file = client.frame_sets.download(find_job(client, job).id, target)
    output_of(ctx).result({"file": str(file.absolute())}, Text(str(file)))


def approve(
    ctx: typer.Context,
    job: JobId,
    revision: Annotated[int | None, typer.Option(min=1, help="Only if the dataset is still this one")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Train on the dataset of a pipeline that waits for review."""
    output = output_of(ctx)
    with connect(url) as client:
        answer = client.frame_sets.approve(find_job(client, job).id, revision=revision)
    output.result(answer)
    output.note(f"{answer.job_name}: approved, the training begins")


def _change(ctx: typer.Context, job: str, changes: dict[str, dict[str, Any]], url: str | None) -> None:
    output = output_of(ctx)
    with connect(url) as client:
        id = find_job(client, job).id
        changed = client.frame_sets.change(id, client.frame_sets.get(id).revision, changes)
    output.result(changed, _table(changed))
    _summary(output, changed)


def _summary(output: Output, found: FrameSet) -> None:
    state = "in review" if found.in_review else "being trained on, or trained on" if found.sealed else "being made"
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(found.reasons.items()))
    dropped = f"{found.dropped} dropped" + (f" ({why})" if why else "")
    output.note(f"{found.kept} frames kept, {dropped}; revision {found.revision}, {state}")


def _table(found: FrameSet) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("frame", "time", "scene", "kept", "caption or reason"):
        table.add_column(heading, no_wrap=heading != "caption or reason")
    for frame in found.frames:
        style = "green" if frame.kept else "yellow"
        why = frame.reason or ""
        text = frame.caption if frame.kept else f"{why}: {frame.explanation}" if frame.explanation else why
        kept = Text("yes" if frame.kept else "no", style=style)
        table.add_row(frame.id, f"{frame.time_s:.2f} s", str(frame.scene), kept, Text(text))
    return table
