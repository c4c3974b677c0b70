"""`Sight` as a condition of a query."""

from __future__ import annotations

import sqlalchemy as sa

from thornback.access.sight import Sight
from thornback.store.admit import clean_text
from thornback.store.tables import TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]


def seen(sight: Sight | None, table: sa.Table = _jobs) -> list[sa.ColumnElement[bool]]:
    """Only rows of `table` (with the columns user and team) that somebody may look at; none for None: all rows."""
    if sight is None:
        return []
    mine: list[sa.ColumnElement[bool]] = [table.c.user == clean_text(sight.user)] if sight.own else []
    if sight.teams:
        mine.append(table.c.team.in_(sorted(sight.teams)))
    if sight.shared:
        mine.append(table.c.team.is_(None))
    return [sa.or_(sa.false(), *mine)]
