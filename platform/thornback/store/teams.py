"""Teams: who is in which, and what the writer does to them inside its transaction."""

from __future__ import annotations

import sqlalchemy as sa

from thornback.access.changes import AddMember, AddTeam, RemoveMember, RemoveTeam, Team
from thornback.errors import Conflict, NotFound
from thornback.store.admit import clean_text
from thornback.store.tables import Model, TrainingJob
from thornback.store.tables_access import TeamMember, TeamRow, UserRow

_teams = TeamRow.__table__  # type: ignore[attr-defined]
_members = TeamMember.__table__  # type: ignore[attr-defined]
_users = UserRow.__table__  # type: ignore[attr-defined]


def read_teams_of(connection: sa.Connection, user: str) -> tuple[str, ...]:
    """The ids of a user's teams, sorted; none for an unknown user."""
    statement = sa.select(_members.c.team).where(_members.c.user == clean_text(user)).order_by(_members.c.team)
    return tuple(connection.execute(statement).scalars())


def read_memberships(connection: sa.Connection) -> dict[str, tuple[str, ...]]:
    """The teams of every user that is in one, sorted."""
    found: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(sa.select(_members).order_by(_members.c.team)):
        found[row.user] = (*found.get(row.user, ()), row.team)
    return found


def read_teams(connection: sa.Connection) -> list[Team]:
    """All, by id."""
    members: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(sa.select(_members).order_by(_members.c.user)):
        members[row.team] = (*members.get(row.team, ()), row.user)
    rows = connection.execute(sa.select(_teams).order_by(_teams.c.id))
    return [Team(id=row.id, name=row.name, created_at=row.created_at, members=members.get(row.id, ())) for row in rows]


def add_team(change: AddTeam, connection: sa.Connection) -> bool:
    """See AddTeam."""
    row = connection.execute(sa.select(_teams).where(_teams.c.id == change.id)).first()
    if row is not None:
        # The same call again, because its answer was lost, is no conflict.
        if (row.created_at, row.name) == (change.at, change.name):
            return True
        raise Conflict(f"there is a team {change.id!r} already")
    for table in (TrainingJob.__table__, Model.__table__):  # type: ignore[attr-defined]
        if connection.execute(sa.select(table.c.id).where(table.c.team == change.id).limit(1)).first() is not None:
            raise Conflict(f"there are jobs or models of an earlier team {change.id!r}; choose another id")
    connection.execute(sa.insert(_teams).values(id=change.id, name=clean_text(change.name)[:255], created_at=change.at))
    return True


def remove_team(change: RemoveTeam, connection: sa.Connection) -> bool:
    """See RemoveTeam."""
    _must_exist(connection, change.id)
    connection.execute(sa.delete(_members).where(_members.c.team == change.id))
    connection.execute(sa.delete(_teams).where(_teams.c.id == change.id))
    return True


def add_member(change: AddMember, connection: sa.Connection) -> bool:
    """See AddMember; False where they are one."""
    _must_exist(connection, change.team)
    if connection.execute(sa.select(_users.c.name).where(_users.c.name == clean_text(change.user))).first() is None:
        raise NotFound(f"there is no user {change.user!r}")
    if change.team in read_teams_of(connection, change.user):
        return False
    connection.execute(sa.insert(_members).values(team=change.team, user=change.user))
    return True


def remove_member(change: RemoveMember, connection: sa.Connection) -> bool:
    """See RemoveMember; False where they are none."""
    _must_exist(connection, change.team)
    mine = sa.and_(_members.c.team == change.team, _members.c.user == clean_text(change.user))
    return bool(connection.execute(sa.delete(_members).where(mine)).rowcount)


def _must_exist(connection: sa.Connection, team: str) -> None:
    if connection.execute(sa.select(_teams.c.id).where(_teams.c.id == clean_text(team))).first() is None:
        raise NotFound(f"there is no team {team!r}")
