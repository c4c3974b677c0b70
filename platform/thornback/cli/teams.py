"""access teams, add-team, remove-team, add-member, remove-member: who shares jobs and models."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from thornback.cli.options import Json, Url, connect
from thornback.cli.output import output_of

Team = Annotated[str, typer.Argument(metavar="TEAM", help="Its id")]
User = Annotated[str, typer.Argument(metavar="USER", help="The user's name")]


def register(app: typer.Typer) -> None:
    """Add these commands to those of access."""
    for command in (teams, add_team, remove_team, add_member, remove_member):
        app.command(command.__name__.replace("_", "-"))(command)


def teams(ctx: typer.Context, url: Url = None, json: Json = False) -> None:
    """List your teams; an admin sees all."""
    with connect(url) as client:
        found = client.access.teams()
    table = Table("id", "name", "members", box=None, pad_edge=False)
    for team in found:
        table.add_row(*map(Text, (team.id, team.name, ", ".join(team.members))))
    output_of(ctx).result({"teams": [team.model_dump(mode="json") for team in found]}, table)


def add_team(
    ctx: typer.Context,
    team: Team,
    name: Annotated[str, typer.Option(help="In full")] = "",
    member: Annotated[list[str] | None, typer.Option(help="A user who is in it; may be given again")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Add a team; for admins. Its members see each other's jobs and models, trainers among them change them."""
    with connect(url) as client:
        made = client.access.add_team(team, name=name)
        for user in member or []:
            made = client.access.add_member(team, user)
    output_of(ctx).result(made.model_dump(mode="json"), Text(f"{made.id}: {', '.join(made.members) or 'nobody yet'}"))


def remove_team(ctx: typer.Context, team: Team, url: Url = None, json: Json = False) -> None:
    """Remove a team; for admins. Its jobs and models stay, for their owners and admins."""
    with connect(url) as client:
        client.access.remove_team(team)
    output_of(ctx).result({"removed": team}, Text(f"removed {team}"))


def add_member(ctx: typer.Context, team: Team, user: User, url: Url = None, json: Json = False) -> None:
    """Let a user see what a team has; for admins."""
    with connect(url) as client:
        made = client.access.add_member(team, user)
    output_of(ctx).result(made.model_dump(mode="json"), Text(f"{made.id}: {', '.join(made.members)}"))


def remove_member(ctx: typer.Context, team: Team, user: User, url: Url = None, json: Json = False) -> None:
    """Take a user out of a team; for admins. Their own jobs stay theirs."""
    with connect(url) as client:
        client.access.remove_member(team, user)
    output_of(ctx).result({"team": team, "removed": user}, Text(f"removed {user} from {team}"))
