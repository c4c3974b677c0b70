"""webhook list, show, retry, discard, replay: what providers sent, and sending it oneself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from thornback.cli.format import local_time, short_id
from thornback.cli.options import Json, Url, connect
from thornback.cli.output import output_of
from thornback.client import Delivery, Receipt
from thornback.errors import InvalidInput
from thornback.settings import load_settings
from thornback.webhooks.play import file_steps, sample_steps, signer_of


class Sender(StrEnum):
    """Who sends webhooks."""

    REPLICATE = "replicate"
    FAL = "fal"


class State(StrEnum):
    """What became of one."""

    DEAD = "dead"
    APPLIED = "applied"


STYLE: Mapping[str, str] = {"dead": "bold red", "applied": "green"}

Number = Annotated[int, typer.Argument(metavar="DELIVERY", min=1, help="Its number in the list")]
Numbers = Annotated[list[int], typer.Argument(metavar="DELIVERY…", min=1, help="Numbers in the list")]

app = typer.Typer(no_args_is_help=True, help="Webhooks of the providers: what came in, and playing one.")


def register(root: typer.Typer) -> None:
    """Add these commands."""
    for command in (list_deliveries, show, retry, discard, replay):
        app.command(command.__name__.replace("list_deliveries", "list"))(command)
    root.add_typer(app, name="webhook")


def list_deliveries(
    ctx: typer.Context,
    state: Annotated[State | None, typer.Option(help="dead: those that could not be used")] = None,
    provider: Annotated[Sender | None, typer.Option()] = None,
    job: Annotated[str | None, typer.Option(help="Only about this job: its whole id")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many")] = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    """List what came in, the newest first."""
    output = output_of(ctx)
    with connect(url) as client:
        found = list(client.deliveries(state=state, provider=provider, job=job, limit=limit))
    output.result({"deliveries": [item.model_dump(mode="json", exclude={"body"}) for item in found]}, _table(found))


def show(ctx: typer.Context, delivery: Number, url: Url = None, json: Json = False) -> None:
    """Show one with its body."""
    output = output_of(ctx)
    with connect(url) as client:
        found = client.delivery(delivery)
    output.note(f"{found.provider}, {local_time(found.received_at)}, {found.state}", style=STYLE.get(found.state, ""))
    if found.problem:
        output.note(found.problem)
    output.result(found, Text(found.body or ""))


def retry(ctx: typer.Context, deliveries: Numbers, url: Url = None, json: Json = False) -> None:
    """Have dead letters interpreted again with what is known now."""
    output = output_of(ctx)
    still_dead = False
    with connect(url) as client:
        for number in deliveries:
            receipt = client.replay_delivery(number)
            still_dead |= receipt.problem is not None
            output.result({"id": number, **receipt.model_dump(mode="json")}, Text(f"{number}: {_words(receipt)}"))
    if still_dead:
        raise typer.Exit(1)


def discard(ctx: typer.Context, deliveries: Numbers, url: Url = None, json: Json = False) -> None:
    """Forget dead letters."""
    output = output_of(ctx)
    with connect(url) as client:
        for number in deliveries:
            client.discard_delivery(number)
            output.result({"id": number, "discarded": True})
            output.note(f"discarded {number}")


def replay(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="JSON: one body, which is sent as it stands, or a list of them")
    ] = None,
    success: Annotated[bool, typer.Option("--success", help="One training that has succeeded")] = False,
    lifecycle: Annotated[
        bool, typer.Option("--lifecycle", help="One training from starting over processing to succeeded")
    ] = False,
    provider: Annotated[Sender, typer.Option(help="Who is to have sent it")] = Sender.REPLICATE,
    job: Annotated[str | None, typer.Option(help="Send it to this job of ours instead of letting it make one")] = None,
    item: Annotated[int | None, typer.Option(min=1, help="And to this item of it")] = None,
    order: Annotated[int | None, typer.Option(min=1, help="And to this order of the item")] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="The provider's id of the training; by default a new one")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="fal: a PEM file with the Ed25519 key whose public half is in the key set")
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Send signed webhooks to the running server and print what it answers.

    thornback webhook replay --lifecycle
    """
    output = output_of(ctx)
    if [file is not None, success, lifecycle].count(True) != 1:
        raise InvalidInput.field("replay", "name one: --success, --lifecycle or a file")
    sign = signer_of(load_settings(), provider, key)
    params = _address(job, item, order)
    with connect(url) as client:
        if id is None and job is not None:
            id = client.get(job).provider_id  # what the provider calls it, None where it is not known yet
        now = datetime.now(UTC)
        steps = file_steps(file) if file else sample_steps(provider, lifecycle=lifecycle, id=id, now=now)
        for step in steps:
            receipt = client.send_webhook(
                provider, step.body, headers=sign(step.body, int(datetime.now(UTC).timestamp())), params=params
            )
            value = {"provider_id": step.provider_id, "status": step.status, **receipt.model_dump(mode="json")}
            words = f"{step.status or 'unreadable':10} {step.provider_id}  {_words(receipt)}"
            output.result(value, Text(words))


def _address(job: str | None, item: int | None, order: int | None) -> dict[str, str]:
    if job is None and (item, order) != (None, None):
        raise InvalidInput.field("job", "an item belongs to a job; name that as well")
    return {name: str(value) for name, value in (("job", job), ("item", item), ("order", order)) if value is not None}


def _words(receipt: Receipt) -> str:
    if receipt.problem is not None:
        return f"kept as a dead letter: {receipt.problem}"
    return f"taken, {receipt.events} events" if receipt.is_new else "taken before; nothing done"


def _table(deliveries: Sequence[Delivery]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("", "received", "provider", "status", "about", "job", "state", "problem"):
        table.add_column(name, no_wrap=name not in ("problem", "about"))
    for item in deliveries:
        table.add_row(
            str(item.id),
            local_time(item.received_at),
            item.provider,
            Text(item.status or ""),
            Text(item.provider_id or ""),
            short_id(item.job_id) + (f" #{item.item}" if item.item else "") if item.job_id else "",
            Text(item.state, style=STYLE.get(item.state, "")),
            Text(item.problem or ""),
        )
    return table
