"""webhooks list, add, show, change, remove, test, rotate, messages, message, replay: who is told of what."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from thornback.cli.format import local_time, short_id
from thornback.cli.options import Json, Url, connect
from thornback.cli.output import output_of
from thornback.cli.report import read_time
from thornback.client.webhooks import Webhook, WebhookMessage
from thornback.errors import InvalidInput
from thornback.jobs.subscriptions import MessageState, Target, Told

app = typer.Typer(no_args_is_help=True, help="Webhooks, mail and Slack messages that tell others what happened.")

_TEST_S = 20.0  # an attempt ends within 15 s
_POLL_S = 0.25
_STYLE: Mapping[str, str] = {"dead": "bold red", "delivered": "green", "waiting": "yellow"}

Id = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id: wh_…")]
Number = Annotated[int, typer.Argument(metavar="MESSAGE", min=1, help="Its number in `webhooks messages`")]
Events = Annotated[
    list[Told] | None, typer.Option("--event", help="Repeat it for several; left out: ends, alerts, disabled webhooks")
]
Filters = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME=VALUE", help="kind, backend, status, user, team, job or tag.NAME; repeatable"),
]
Description = Annotated[str | None, typer.Option(help="For people")]
Contact = Annotated[str | None, typer.Option(help="An e-mail address that is told should this be disabled")]

_LISTS = {
    "kind": "kinds",
    "backend": "backends",
    "status": "statuses",
    "user": "users",
    "team": "teams",
    "job": "jobs",
}


class Kept(StrEnum):
    """States of messages."""

    WAITING = MessageState.WAITING.value
    DELIVERED = MessageState.DELIVERED.value
    DEAD = MessageState.DEAD.value


def register(root: typer.Typer) -> None:
    """Add these commands."""
    app.command("list")(list_webhooks)
    app.command("test")(send_test)
    for command in (add, show, change, remove, rotate, messages, message, replay):
        app.command(command.__name__)(command)
    root.add_typer(app, name="webhooks")


def list_webhooks(ctx: typer.Context, url: Url = None, json: Json = False) -> None:
    """List your webhooks; an admin sees all."""
    with connect(url) as client:
        found = list(client.webhooks.list())
    output_of(ctx).result({"webhooks": [one.model_dump(mode="json") for one in found]}, _table(found))


def add(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(help="A URL, or an e-mail address")],
    target: Annotated[Target, typer.Option(help="What receives")] = Target.WEBHOOK,
    event: Events = None,
    only: Filters = None,
    description: Description = None,
    contact: Contact = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Tell an address what happens from now on. The secret that signs is shown this once.

    thornback webhooks add https://example.org/hook --event job.failed --only kind=lora --only tag.env=prod
    """
    output = output_of(ctx)
    with connect(url) as client:
        made = client.webhooks.add(
            address,
            target=target,
            events=event,
            filter=read_filters(only or []),
            description=description or "",
            contact=contact,
        )
    output.result(made, Text(f"{made.id}\n{made.secret}" if made.secret else made.id))


def show(ctx: typer.Context, webhook: Id, url: Url = None, json: Json = False) -> None:
    """Show how a webhook is set up and how it is doing."""
    with connect(url) as client:
        found = client.webhooks.get(webhook)
    lines = [f"{name}: {value}" for name, value in found.model_dump(mode="json", exclude_none=True).items() if value]
    output_of(ctx).result(found, Text("\n".join(lines)))


def change(
    ctx: typer.Context,
    webhook: Id,
    address: Annotated[str | None, typer.Option(help="Where to from now on")] = None,
    event: Events = None,
    only: Filters = None,
    description: Description = None,
    contact: Contact = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Disabling gives up what waits")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Change a webhook; what is left out stays."""
    fields: dict[str, Any] = {
        "address": address,
        "events": event or None,
        "filter": read_filters(only) if only else None,
        "description": description,
        "contact": contact,
        "is_enabled": enabled,
    }
    with connect(url) as client:
        found = client.webhooks.change(webhook, **{name: value for name, value in fields.items() if value is not None})
    output_of(ctx).result(found, _table([found]))


def remove(ctx: typer.Context, webhook: Id, url: Url = None, json: Json = False) -> None:
    """Remove a webhook with the log of what it was told."""
    with connect(url) as client:
        client.webhooks.remove(webhook)
    output = output_of(ctx)
    output.result({"id": webhook, "removed": True})
    output.note(f"removed {webhook}")


def send_test(ctx: typer.Context, webhook: Id, url: Url = None, json: Json = False) -> None:
    """Send a test and say what came of it."""
    output = output_of(ctx)
    with connect(url) as client:
        sent = client.webhooks.test(webhook)
        deadline = time.monotonic() + _TEST_S
        while not sent.tries and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            sent = client.webhooks.message(webhook, sent.id)
    output.result(sent, Text(_outcome(sent)))
    if sent.state != MessageState.DELIVERED:
        raise typer.Exit(1)


def rotate(
    ctx: typer.Context,
    webhook: Id,
    keep_old_hours: Annotated[float, typer.Option(min=0, max=168, help="So long the old secret signs as well")] = 24.0,
    url: Url = None,
    json: Json = False,
) -> None:
    """Replace the secret. The new one is shown this once."""
    output = output_of(ctx)
    with connect(url) as client:
        new = client.webhooks.rotate(webhook, keep_old_hours=keep_old_hours)
    output.result(new, Text(new.secret))
    output.note(f"the old secret signs as well until {local_time(new.old_secret_until)}")


def messages(
    ctx: typer.Context,
    webhook: Id,
    state: Annotated[Kept | None, typer.Option(help="dead: what was given up")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many")] = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    """List what a webhook was told, the newest first."""
    with connect(url) as client:
        found = list(client.webhooks.messages(webhook, state=state, limit=limit))
    value = {"messages": [one.model_dump(mode="json", exclude={"body"}) for one in found]}
    output_of(ctx).result(value, _messages(found))


def message(ctx: typer.Context, webhook: Id, number: Number, url: Url = None, json: Json = False) -> None:
    """Show a message with its attempts and its body."""
    output = output_of(ctx)
    with connect(url) as client:
        found = client.webhooks.message(webhook, number)
    for attempt in found.tries:
        output.note(f"{local_time(attempt.at)}  {attempt.problem or attempt.status}  {attempt.ms:.0f} ms")
    output.result(found, Text(str(found.body)))


def replay(
    ctx: typer.Context,
    webhook: Id,
    number: Annotated[int | None, typer.Argument(metavar="[MESSAGE]", min=1, help="One message")] = None,
    since: Annotated[str | None, typer.Option(help="All dead letters since then: 24h, 7d or a date")] = None,
    delivered_too: Annotated[bool, typer.Option("--delivered-too", help="Not only the dead letters")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Send messages again, under their ids: one, or all since a time."""
    output = output_of(ctx)
    begin = read_time(since, "since", datetime.now(UTC))
    if (number is None) == (begin is None):
        raise InvalidInput.field("replay", "name a message, or --since")
    with connect(url) as client:
        if begin is not None:
            count = client.webhooks.replay_since(webhook, begin, delivered_too=delivered_too)
        elif number is not None:
            client.webhooks.replay(webhook, number)
            count = 1
    output.result({"replayed": count})
    output.note(f"{count} on the way again")


def read_filters(words: Sequence[str]) -> dict[str, Any]:
    """`kind=lora`, `tag.env=prod`, … as the API takes them. Raises InvalidInput."""
    found: dict[str, Any] = {}
    for word in words:
        name, mark, value = word.partition("=")
        if mark and value and name.startswith("tag.") and len(name) > len("tag."):
            found.setdefault("tags", {})[name.removeprefix("tag.")] = value
        elif mark and value and name in _LISTS:
            found.setdefault(_LISTS[name], []).append(value)
        else:
            raise InvalidInput.field("only", f"{word!r} is not NAME=VALUE with {', '.join(_LISTS)} or tag.NAME")
    return found


def _outcome(sent: WebhookMessage) -> str:
    if not sent.tries:
        return "not sent yet; is the platform running?"
    last = sent.tries[-1]
    return f"{last.problem or f'taken ({last.status})'} after {last.ms:.0f} ms"


def _table(found: Sequence[Webhook]) -> Table:
    table = _columns("id", "target", "address", "events", "state", "user")
    for one in found:
        state = "well" if one.is_enabled and one.failing_since is None else "failing" if one.is_enabled else "disabled"
        cells = (Text(one.address), ", ".join(one.events), state, Text(one.user))
        table.add_row(one.id, one.target, *cells)
    return table


def _messages(found: Sequence[WebhookMessage]) -> Table:
    table = _columns("", "made", "type", "job", "state", "attempts", "last problem")
    for one in found:
        last = one.tries[-1].problem if one.tries and one.state != MessageState.DELIVERED else None
        table.add_row(
            str(one.id),
            local_time(one.created_at),
            one.type,
            short_id(one.job_id) if one.job_id else "",
            Text(one.state, style=_STYLE.get(one.state, "")),
            str(one.attempts),
            Text(last or ""),
        )
    return table


def _columns(*names: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=name not in ("address", "events", "last problem"))
    return table
