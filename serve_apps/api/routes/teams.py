"""Teams: users who share jobs and models."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.principal import Caller
from thornback.access.changes import AddMember, AddTeam, RemoveMember, RemoveTeam, Team, check_name
from thornback.errors import NotFound

router = APIRouter(prefix="/api/v1/teams", tags=["access"], dependencies=[Depends(json_only)])


class TeamIn(BaseModel):
    """A team to be made."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(description="What jobs and people call it; it stays.", examples=["vision"])]
    name: Annotated[str, Field(max_length=255, description="In full; left out: the id.")] = ""


class TeamOut(BaseModel):
    """A team."""

    id: str
    name: str
    created_at: datetime
    members: list[str]


class TeamList(BaseModel):
    """Teams, by id."""

    teams: list[TeamOut]


@router.get("", summary="Teams")
async def list_teams(context: Context, caller: Caller) -> TeamList:
    """Yours; an admin sees all."""
    teams = await context.read(lambda _: context.access.teams())
    return TeamList(teams=[_out(team) for team in teams if caller.is_admin or team.id in caller.teams])


@router.post("", status_code=201, summary="Add a team")
async def add_team(context: Context, caller: Caller, body: TeamIn) -> TeamOut:
    """Its members see each other's jobs and models; those who are trainers change them too."""
    id = check_name(body.id, field="id")
    name = body.name.strip() or id
    await context.recorder.administer(AddTeam(id=id, name=name, at=datetime.now(UTC)), by=caller.user)
    return await _now(context, id)


@router.delete("/{team}", status_code=204, summary="Remove a team")
async def remove_team(context: Context, caller: Caller, team: str) -> None:
    """Its jobs and models stay, for their owners and admins."""
    await context.recorder.administer(RemoveTeam(id=team, at=datetime.now(UTC)), by=caller.user)


@router.put("/{team}/members/{name}", summary="Add a member")
async def add_member(context: Context, caller: Caller, team: str, name: str) -> TeamOut:
    """From now on they see what the team has."""
    await context.recorder.administer(AddMember(team=team, user=name, at=datetime.now(UTC)), by=caller.user)
    return await _now(context, team)


@router.delete("/{team}/members/{name}", status_code=204, summary="Remove a member")
async def remove_member(context: Context, caller: Caller, team: str, name: str) -> None:
    """Their own jobs stay theirs."""
    await context.recorder.administer(RemoveMember(team=team, user=name, at=datetime.now(UTC)), by=caller.user)


async def _now(context: ApiContext, id: str) -> TeamOut:
    for team in await context.read(lambda _: context.access.teams()):
        if team.id == id:
            return _out(team)
    raise NotFound(f"there is no team {id!r}")


def _out(team: Team) -> TeamOut:
    return TeamOut(id=team.id, name=team.name, created_at=team.created_at, members=list(team.members))
