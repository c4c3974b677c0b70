"""quota show, list, set, clear, spend: what users and teams may have, and what was spent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from thornback.cli.format import local_time
from thornback.cli.options import Json, Url, connect
from thornback.cli.output import output_of
from thornback.cli.report import read_ahead, read_time
from thornback.client.quotas import Kind, QuotaState
from thornback.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="Quotas of users and teams, and what was spent.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of a user, with --team of a team")]
Team = Annotated[bool, typer.Option("--team", help="A team's, not a user's")]
Limit = Annotated[str | None, typer.Option(metavar="NUMBER", help="A number, or `none` for no limit")]
_NONE = "none"


def register(root: typer.Typer) -> None:
    """Add these commands."""
    app.command("list")(list_)
    for command in (show, set_, clear, spend):
        app.command(command.__name__.rstrip("_"))(command)
    root.add_typer(app, name="quota")


def show(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Left out: yours and your teams'")] = None,
    team: Team = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show what is used of which limit; those of others are for admins."""
    with connect(url) as client:
        found = client.quotas.mine() if name is None else [client.quotas.get(name, kind=_kind(team))]
    _tell(ctx, found)


def list_(ctx: typer.Context, url: Url = None, json: Json = False) -> None:
    """List the limits of the settings and whose are others; for admins."""
    with connect(url) as client:
        found = client.quotas.all()
    table = Table(box=None, pad_edge=False)
    for column in ("whose", "limits", "set by", "at", "why"):
        table.add_column(column)
    for kind in ("user", "team"):
        table.add_row(f"each {kind}", _limits(found[kind]), "settings", "", "")
    for row in found["set_for"]:
        own = row["own"]
        at = local_time(datetime.fromisoformat(own["set_at"]))
        table.add_row(
            Text(f"{row['kind']} {row['name']}"), _limits(own["limits"]), Text(own["set_by"]), at, Text(own["note"])
        )
    output_of(ctx).result(found, table)


def set_(
    ctx: typer.Context,
    name: Name,
    jobs: Limit = None,
    gpu_hours: Limit = None,
    storage_bytes: Limit = None,
    usd_day: Limit = None,
    usd_month: Limit = None,
    note: Annotated[str, typer.Option(help="Why; it stands in the audit log")] = "",
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="7d, 12h or 2026-11-21 [default: what allows more ends with its day or month]"
        ),
    ] = None,
    team: Team = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Give somebody limits of their own, in the place of those set before; for admins."""
    given = {
        "jobs": jobs,
        "gpu_hours": gpu_hours,
        "storage_bytes": storage_bytes,
        "usd_day": usd_day,
        "usd_month": usd_month,
    }
    limits = {field: _number(field, text) for field, text in given.items() if text is not None}
    if not limits:
        raise InvalidInput("say at least one of --jobs, --gpu-hours, --storage-bytes, --usd-day, --usd-month")
    ends_at = read_ahead(until, "until", datetime.now(UTC))
    with connect(url) as client:
        found = client.quotas.set(name, limits, kind=_kind(team), note=note, until=ends_at)
    _tell(ctx, [found])


def clear(ctx: typer.Context, name: Name, team: Team = False, url: Url = None, json: Json = False) -> None:
    """Back to the limits of the settings; for admins."""
    with connect(url) as client:
        found = client.quotas.clear(name, kind=_kind(team))
    _tell(ctx, [found])


def spend(
    ctx: typer.Context,
    by: Annotated[
        list[str] | None, typer.Option(help="day, user, team, job_id, kind, backend; several times for several")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="7d, 12h or 2026-11-21 [default: all]")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="The same, up to there [default: now]")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show what jobs have cost, and what is set aside for those that have not ended."""
    now = datetime.now(UTC)
    groups = by or ["user", "backend"]
    begin, end = (read_time(text, name, now) for text, name in ((since, "since"), (until, "until")))
    with connect(url) as client:
        rows = client.quotas.spent(by=groups, since=begin, until=end)
    table = Table(box=None, pad_edge=False)
    for column in (*groups, "jobs", "USD charged", "USD set aside", "GPU hours"):
        table.add_column(column)
    for row in rows:
        names = (Text(str(getattr(row, group, None) or "")) for group in groups)
        money = (f"{row.charged_usd:.2f}", f"{row.reserved_usd:.2f}", f"{row.charged_gpu_hours:.2f}")
        table.add_row(*names, str(row.jobs), *money)
    output_of(ctx).result({"rows": [row.model_dump(mode="json") for row in rows]}, table)


def _kind(team: bool) -> Kind:
    return "team" if team else "user"


def _number(name: str, text: str) -> float | int | None:
    if text.strip().lower() == _NONE:
        return None
    try:
        return int(text) if text.strip().lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise InvalidInput.field(f"--{name.replace('_', '-')}", f"{text!r} is neither a number nor `none`") from None


def _limits(limits: dict[str, float | None]) -> str:
    words = [f"{name} {_NONE if value is None else f'{value:g}'}" for name, value in limits.items()]
    return ", ".join(words) if any(value is not None for value in limits.values()) else _NONE


def _tell(ctx: typer.Context, found: Sequence[QuotaState]) -> None:
    parts: list[RenderableType] = [_table(state) for state in found]
    output_of(ctx).result({"quotas": [state.model_dump(mode="json") for state in found]}, Group(*parts))


def _table(state: QuotaState) -> RenderableType:
    title = Text(f"{state.kind} {state.name}")
    if state.own is not None:
        until = f", until {local_time(state.own.ends_at)}" if state.own.ends_at is not None else ""
        title.append(f" (set by {state.own.set_by}{f': {state.own.note}' if state.own.note else ''}{until})")
    table = Table(box=None, pad_edge=False)
    for column in ("limit", "used", "of", "begins anew"):
        table.add_column(column)
    limits = {level.quota: level for level in state.levels}
    for name, used in state.usage.items():
        level = limits.get(name)
        resets = local_time(level.resets_at) if level is not None and level.resets_at is not None else ""
        table.add_row(name, f"{used:g}", _NONE if level is None else f"{level.limit:g}", resets)
    return Group(title, table)
