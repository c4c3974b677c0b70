"""image-set create, list, show, cancel, download: pictures of a character, made at a provider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from thornback.cli.format import STYLE, local_time, percent, short_id
from thornback.cli.options import JobId, Json, LastJobId, Url, connect
from thornback.cli.output import output_of
from thornback.cli.spec_file import assign, read_spec
from thornback.cli.watch import follow_job
from thornback.client import Client, ImageSet
from thornback.errors import InvalidInput, JobNotFound

app = typer.Typer(no_args_is_help=True, help="Sets of pictures, made at a provider.")

_UUID_CHARS = 36
_RECENT = 200
_ITEM_STYLE = {"stored": "green", "failed": "bold red", "cancelled": "yellow"}


def register(root: typer.Typer) -> None:
    """Add these commands."""
    for command in (create, list_sets, show, cancel, download):
        app.command(command.__name__.replace("list_sets", "list"))(command)
    root.add_typer(app, name="image-set")


def create(
    ctx: typer.Context,
    character: Annotated[str | None, typer.Argument(help="Who or what is on them; names the files")] = None,
    prompt: Annotated[list[str] | None, typer.Option("--prompt", "-p", help="One image each; can be repeated")] = None,
    template: Annotated[str | None, typer.Option(help="Instead: a prompt with {character}, {number} and names")] = None,
    variable: Annotated[
        list[str] | None, typer.Option("--var", metavar="NAME=A|B|C", help="Values for a name of the template")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="How many images")] = None,
    model: Annotated[str | None, typer.Option(help="A name from the catalogue")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Image n takes seed + n - 1")] = None,
    backend: Annotated[str | None, typer.Option(help="replicate or fal [default: the one that is set up]")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="JSON or YAML with these fields")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="E.g. inputs.go_fast=true")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it until it ends")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Order a set of images; all of them are made at once.

    thornback image-set create ada --template "photo of {character}, {view}" --var "view=front|side" -n 8
    """
    output = output_of(ctx)
    body = {} if file is None else read_spec(file)
    given = {"character": character, "prompts": prompt, "prompt_template": template, "count": count}
    given |= {"model": model, "seed": seed, "backend": backend}
    body |= {name: value for name, value in given.items() if value is not None}
    if variable:
        body["variables"] = dict(_values(item) for item in variable)
    for assignment in assignments or []:
        assign(body, assignment)
    with connect(url) as client:
        made = client.image_sets.create_from(body)
        if watch:
            output.note(f"image set {made.id}")
            raise typer.Exit(follow_job(client, made.id, output))
    output.result(made, Text(made.id))
    output.note(f"see it: thornback image-set show {short_id(made.id)}")


def list_sets(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many")] = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    """List image sets, the newest first."""
    with connect(url) as client:
        sets = list(client.image_sets.list(limit=limit))
    table = Table(box=None, pad_edge=False)
    for heading in ("set", "name", "status", "images", "failed", "created"):
        table.add_column(heading, no_wrap=heading != "name")
    for item in sets:
        status = Text(item.status.value, style=STYLE[item.status])
        failed = str(item.failed) if item.failed else ""
        table.add_row(
            item.id, Text(item.job_name), status, f"{item.done}/{item.total}", failed, local_time(item.created_at)
        )
    output_of(ctx).result({"image_sets": [item.model_dump(mode="json") for item in sets]}, table)


def show(ctx: typer.Context, image_set: LastJobId = "last", url: Url = None, json: Json = False) -> None:
    """Show a set, image by image."""
    output = output_of(ctx)
    with connect(url) as client:
        found = _find(client, image_set)
    output.result(found, _item_table(found))
    rate = "" if found.success_rate is None else f", {percent(found.success_rate)} of those that ended"
    output.note(f"{found.job_name}: {found.status.value}, {found.done} of {found.total} images{rate}")


def cancel(ctx: typer.Context, image_set: JobId, url: Url = None, json: Json = False) -> None:
    """Order nothing more and stop what is under way; what is stored stays."""
    output = output_of(ctx)
    with connect(url) as client:
        answer = client.image_sets.cancel(_find(client, image_set).id)
    output.result(answer)
    output.note(f"{answer.job_name}: {'cancelled' if answer.is_final else 'stopping'}")


def download(
    ctx: typer.Context,
    image_set: JobId,
    target: Annotated[Path, typer.Argument(help="A ZIP, or a folder for it")] = Path(),
    trigger_word: Annotated[str | None, typer.Option(help="Put in front of captions that do not hold it")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Fetch the images that are stored, with their prompts as captions, as one ZIP."""
    output = output_of(ctx)
    with connect(url) as client:
        found = _find(client, image_set)
        file = client.image_sets.download(found.id, target, trigger_word=trigger_word)
    output.result({"file": str(file.absolute()), "images": found.done}, Text(str(file)))
    if found.done < found.total:
        output.note(f"{found.done} of {found.total} images: the set is {found.status.value}", style="yellow")


def _find(client: Client, text: str) -> ImageSet:
    """The set that `text` means. Raises JobNotFound, InvalidInput."""
    if len(text) == _UUID_CHARS:
        return client.image_sets.get(text)
    known = [item.id for item in client.image_sets.list(limit=1 if text == "last" else _RECENT)]
    found = known if text == "last" else [id for id in known if id.startswith(text) or id.endswith(text)]
    if not found:
        raise JobNotFound(text)
    if len(found) > 1:
        raise InvalidInput.field("image_set", f"{text!r} could be {', '.join(found[:5])}")
    return client.image_sets.get(found[0])


def _values(text: str) -> tuple[str, list[str]]:
    """`name=a|b` as a name and its values. Raises InvalidInput."""
    name, equals, values = text.partition("=")
    if not equals or not name:
        raise InvalidInput.field("--var", f"{text!r} is not NAME=A|B|C")
    return name, values.split("|")


def _item_table(found: ImageSet) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("image", "status", "order", "provider's id", "prompt", "error"):
        table.add_column(heading, no_wrap=heading in ("image", "status", "order"))
    for item in found.items:
        values: tuple[Any, ...] = (
            str(item.item),
            Text(item.status, style=_ITEM_STYLE.get(item.status, "")),
            str(item.order) if item.order else "",
            Text(item.provider_id or ""),
            Text(item.prompt or ""),
            Text(item.error or ""),
        )
        table.add_row(*values)
    return table
