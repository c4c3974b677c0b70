"""Teams: who is in which."""

from __future__ import annotations

import sqlalchemy as sa

from thornback.store.admit import clean_text
from thornback.store.tables_access import TeamMember

_members = TeamMember.__table__  # type: ignore[attr-defined]


def read_teams_of(connection: sa.Connection, user: str) -> tuple[str, ...]:
    """The ids of a user's teams, sorted; none for an unknown user."""
    statement = sa.select(_members.c.team).where(_members.c.user == clean_text(user)).order_by(_members.c.team)
    return tuple(connection.execute(statement).scalars())
