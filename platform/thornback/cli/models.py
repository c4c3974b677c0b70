"""models list, show, versions, compare, lineage, add, alias, note, download, delete: trained models and versions."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from thornback.cli.format import local_time, short_id
from thornback.cli.options import JobId, Json, Url, connect, find_job
from thornback.cli.output import output_of
from thornback.client import ModelVersion
from thornback.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="Trained models and their versions.")

Name = Annotated[str, typer.Argument(metavar="MODEL", help="Its name, as in `thornback models list`")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="A number or an alias")]
OrLatest = Annotated[str, typer.Argument(metavar="[VERSION]", help="A number or an alias")]

_MAIN_FIELDS = ("trigger", "steps", "learning_rate", "frame_count")


def register(root: typer.Typer) -> None:
    """Add these commands."""
    app.command("list")(list_models)
    for command in (show, versions, compare, lineage, add, alias, note, download, delete):
        app.command(command.__name__)(command)
    root.add_typer(app, name="models")


def list_models(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many")] = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List models, the newest first."""
    with connect(url) as client:
        models = list(client.models.list(limit=limit))
    table = _table("model", "versions", "aliases", "trigger", "latest")
    for model in models:
        aliases = ", ".join(f"{name} {number}" for name, number in model.aliases.items())
        trigger = str(model.latest.config.get("trigger") or "")
        table.add_row(
            model.name, str(model.versions), Text(aliases), Text(trigger), local_time(model.latest.created_at)
        )
    output_of(ctx).result({"models": [model.model_dump(mode="json") for model in models]}, table)


def show(ctx: typer.Context, model: Name, version: OrLatest = "latest", url: Url = None, json: Json = False) -> None:
    """Show a version: its file, what it was trained with, and what people say of it."""
    with connect(url) as client:
        found = client.models.version(model, version)
    table = Table(box=None, pad_edge=False, show_header=False)
    facts: dict[str, Any] = {
        "model": f"{found.model} v{found.version}",
        "aliases": ", ".join(found.aliases),
        "job": found.job_id,
        "created": local_time(found.created_at),
        "size": f"{found.size_bytes:,} bytes",
        "sha256": found.sha256,
        "key": found.storage_key,
        "url": found.model_url,
        "notes": found.notes,
    } | {f"config.{name}": _value(value) for name, value in found.config.items()}
    for name, value in facts.items():
        if value != "":
            table.add_row(name, Text(str(value), overflow="fold"))
    output_of(ctx).result(found, table)


def versions(
    ctx: typer.Context,
    model: Name,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many")] = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List the versions of a model, the newest first."""
    with connect(url) as client:
        found = list(client.models.versions(model, limit=limit))
    table = _table("version", "aliases", "trigger", "steps", "learning rate", "frames", "created", "job", "notes")
    for version in found:
        values = [_value(version.config.get(name)) for name in _MAIN_FIELDS]
        table.add_row(
            str(version.version),
            Text(", ".join(version.aliases)),
            *map(Text, values),
            local_time(version.created_at),
            short_id(version.job_id),
            Text(version.notes.partition("\n")[0]),
        )
    output_of(ctx).result({"versions": [version.model_dump(mode="json") for version in found]}, table)


def compare(
    ctx: typer.Context, model: Name, a: Version, b: OrLatest = "latest", url: Url = None, json: Json = False
) -> None:
    """Show what differs between two versions."""
    with connect(url) as client:
        found = client.models.compare(model, a, b)
    table = _table("field", f"v{found.a.version}", f"v{found.b.version}")
    for change in found.changed:
        table.add_row(Text(change.field), Text(_value(change.a)), Text(_value(change.b)))
    output = output_of(ctx)
    output.result(found, table)
    output.note(f"{len(found.changed)} fields differ, {len(found.same)} are the same")


def lineage(ctx: typer.Context, model: Name, version: OrLatest = "latest", url: Url = None, json: Json = False) -> None:
    """Show what a version comes from: job, dataset, frames, video."""
    with connect(url) as client:
        found = client.models.lineage(model, version)
    job, dataset, video = found["job"], found["dataset"], found["video"]
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("version", Text(f"{found['version']['model']} v{found['version']['version']}"))
    table.add_row(
        "job", Text(f"{job['id']} ({job['kind']}, {job['status']})" if job["exists"] else f"{job['id']} (gone)")
    )
    for part, values in found["recorded"].items():
        for name, value in values.items() if isinstance(values, dict) else ():
            table.add_row(f"{part}.{name}", Text(_value(value), overflow="fold"))
    if dataset is not None:
        dropped = ", ".join(f"{count} {reason}" for reason, count in dataset["dropped"].items())
        table.add_row("frames", Text(f"{dataset['kept']} kept" + (f"; left out: {dropped}" if dropped else "")))
        for frame in dataset["frames"]:
            table.add_row(f"  {frame['time_s']:.2f} s", Text(f"scene {frame['scene']}: {frame['caption']}"))
    if video is not None and "video" not in found["recorded"]:
        table.add_row("video", Text(str(video.get("name") or ""), overflow="fold"))
    output_of(ctx).result(found, table)


def add(ctx: typer.Context, model: Name, job: JobId, url: Url = None, json: Json = False) -> None:
    """Make a finished LoRA training the next version of a model; the model is made where it is not there."""
    with connect(url) as client:
        version = client.models.add(model, find_job(client, job).id)
    _told(ctx, version)


def alias(
    ctx: typer.Context,
    model: Name,
    name: Annotated[str, typer.Argument(metavar="ALIAS", help="E.g. production; `latest` is always the newest")],
    version: Annotated[int | None, typer.Argument(metavar="[VERSION]", help="The number it is to mean")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the alias away")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Let a word mean a version, which cannot be deleted as long as it does."""
    if remove == (version is not None):
        raise InvalidInput.field("VERSION", "give a number, or --remove")
    with connect(url) as client:
        if version is None:
            client.models.remove_alias(model, name)
        else:
            client.models.set_alias(model, name, version)
        aliases = client.models.get(model).aliases
    output_of(ctx).result({"aliases": aliases}, Text(", ".join(f"{word} {number}" for word, number in aliases.items())))


def note(
    ctx: typer.Context,
    model: Name,
    version: Version,
    text: Annotated[str, typer.Argument(help="Replaces what was there")],
    url: Url = None,
    json: Json = False,
) -> None:
    """Write down what you think of a version."""
    with connect(url) as client:
        _told(ctx, client.models.note(model, version, text))


def download(
    ctx: typer.Context,
    model: Name,
    version: OrLatest = "latest",
    target: Annotated[Path, typer.Argument(help="A file, or a folder for it")] = Path(),
    url: Url = None,
    json: Json = False,
) -> None:
    """Fetch the weights of a version; complete and with their checksum right, or not at all."""
    with connect(url) as client:
        file = client.models.download(model, version, target)
    output_of(ctx).result({"file": str(file.absolute())}, Text(str(file)))


def delete(
    ctx: typer.Context,
    model: Name,
    version: Annotated[int, typer.Argument(min=1, metavar="NUMBER", help="Its number; an alias would be too easy")],
    url: Url = None,
    json: Json = False,
) -> None:
    """Remove a version and its files; its number is not given again."""
    with connect(url) as client:
        client.models.delete(model, version)
    output_of(ctx).result({"deleted": version}, Text(f"{model} v{version} is gone"))


def _told(ctx: typer.Context, version: ModelVersion) -> None:
    output_of(ctx).result(version, Text(f"{version.model} v{version.version}"))


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=heading in ("model", "version", "created", "job", "latest"))
    return table


def _value(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json_text.dumps(value)
