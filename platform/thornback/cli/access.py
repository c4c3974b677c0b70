"""access whoami, users, add-user, change-user, keys, add-key, revoke-key, recover: who may use the platform."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from thornback.access.first import recover_admin
from thornback.access.roles import Role
from thornback.access.scopes import Scope
from thornback.cli import teams
from thornback.cli.format import local_time
from thornback.cli.options import Json, Url, connect
from thornback.cli.output import output_of
from thornback.client.models import ApiKey
from thornback.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Users and API keys.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the user")]
OptionalRole = Annotated[Role | None, typer.Option(help="viewer, trainer or admin")]
AskPassword = Annotated[bool, typer.Option("--password", help="Ask for a password, to sign in on the page")]


def register(root: typer.Typer) -> None:
    """Add these commands."""
    for command in (whoami, users, add_user, change_user, keys, add_key, revoke_key, recover):
        app.command(command.__name__.replace("_", "-"))(command)
    teams.register(app)
    root.add_typer(app, name="access")


def whoami(ctx: typer.Context, url: Url = None, json: Json = False) -> None:
    """Who you are to the server (THORNBACK_API_KEY)."""
    with connect(url) as client:
        session = client.access.whoami()
    words = f"{session.user}, {session.role}" if session.user else "nobody: set THORNBACK_API_KEY"
    output_of(ctx).result(session.model_dump(mode="json"), Text(words))


def users(ctx: typer.Context, url: Url = None, json: Json = False) -> None:
    """List users; for admins."""
    with connect(url) as client:
        found = client.access.users()
    table = _table("name", "role", "active", "password", "since")
    for user in found:
        marks = ("yes" if user.is_active else "no", "yes" if user.has_password else "no")
        table.add_row(Text(user.name), user.role, *marks, local_time(user.created_at))
    output_of(ctx).result({"users": [user.model_dump(mode="json") for user in found]}, table)


def add_user(
    ctx: typer.Context,
    name: Name,
    role: Annotated[Role, typer.Option(help="viewer, trainer or admin")] = Role.TRAINER,
    password: AskPassword = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Add a user; for admins. Without a password they come in by the keys that you make for them."""
    with connect(url) as client:
        user = client.access.add_user(name, role=role, password=_password() if password else None)
    output_of(ctx).result(user.model_dump(mode="json"), Text(f"{user.name}, {user.role}"))


def change_user(
    ctx: typer.Context,
    name: Name,
    role: OptionalRole = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Let in, or not")] = None,
    password: AskPassword = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Change a user's role or password, or let them in no more; for admins."""
    with connect(url) as client:
        new = _password() if password else None
        user = client.access.change_user(name, role=role, is_active=active, password=new)
    words = f"{user.name}, {user.role}{'' if user.is_active else ', switched off'}"
    output_of(ctx).result(user.model_dump(mode="json"), Text(words))


def keys(ctx: typer.Context, url: Url = None, json: Json = False) -> None:
    """List API keys: your own; an admin sees all."""
    with connect(url) as client:
        found = client.access.keys()
    table = _table("id", "user", "label", "at most", "only", "expires", "used", "revoked")
    for key in found:
        times = [local_time(at) if at else "" for at in (key.expires_at, key.used_at, key.revoked_at)]
        table.add_row(key.id, Text(key.user), Text(key.label), key.role or "", Text(_only(key)), *times)
    output_of(ctx).result({"keys": [key.model_dump(mode="json") for key in found]}, table)


def add_key(
    ctx: typer.Context,
    label: Annotated[str, typer.Argument(help="What it is for")],
    user: Annotated[str | None, typer.Option(help="Left out: yourself; for others, admins only")] = None,
    role: OptionalRole = None,
    days: Annotated[float | None, typer.Option(min=0.001, help="How long it holds; left out: until revoked")] = None,
    scope: Annotated[list[Scope] | None, typer.Option(help="Only this part; several times for several")] = None,
    team: Annotated[list[str] | None, typer.Option(help="Only what belongs to this team; the same")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Starts only this kind of jobs; the same")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Make an API key. It is shown this once."""
    with connect(url) as client:
        key = client.access.make_key(
            label, user=user, role=role, days=days, scopes=scope or None, teams=team or None, kinds=kind or None
        )
    output_of(ctx).result(key.model_dump(mode="json"), Text(key.api_key))


def revoke_key(
    ctx: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `thornback access keys` shows it")],
    url: Url = None,
    json: Json = False,
) -> None:
    """Revoke an API key: it opens nothing from now on."""
    with connect(url) as client:
        client.access.revoke_key(key_id)
    output_of(ctx).result({"revoked": key_id}, Text(f"revoked {key_id}"))


def recover(
    ctx: typer.Context,
    name: Annotated[str, typer.Option(help="Becomes an active admin; made where there is no such user")] = "admin",
    json: Json = False,
) -> None:
    """Make an admin's key straight in the database: for whoever has lost the last one and may read the settings."""
    from thornback.metrics.local import LocalRecorder  # SQL: half a second of imports
    from thornback.store.migrate import upgrade

    settings = load_settings()
    upgrade(settings.database_url)

    async def make() -> str:
        recorder = LocalRecorder.open(settings)
        await recorder.start()
        try:
            return await recover_admin(recorder.administer, name=name, at=datetime.now(UTC))
        finally:
            await recorder.close()

    key = asyncio.run(make())
    output_of(ctx).result({"user": name, "api_key": key}, Text(key))


def _only(key: ApiKey) -> str:
    parts = [
        *(key.scopes or ()),
        *(f"team {name}" for name in key.teams or ()),
        *(f"kind {name}" for name in key.kinds or ()),
    ]
    return ", ".join(parts)


def _password() -> str:
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table
