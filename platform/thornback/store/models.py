"""Models and their versions, to be read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from thornback.access.sight import Sight
from thornback.errors import InvalidInput
from thornback.jobs.versions import LATEST, MAX_VERSION, ModelVersion, model_not_found, number_of, version_not_found
from thornback.store.admit import clean_text, short_text
from thornback.store.cells import MAX_BIG_INT
from thornback.store.guard import store_errors
from thornback.store.page import MAX_LIMIT
from thornback.store.seen import seen
from thornback.store.tables import Model, ModelAlias, ModelVersionRow
from thornback.store.versions import LATEST_NUMBER, VERSION_ROW, to_versions

_models = Model.__table__  # type: ignore[attr-defined]
_versions = ModelVersionRow.__table__  # type: ignore[attr-defined]
_aliases = ModelAlias.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model that has a version at least."""

    name: str
    user: str
    team: str | None  # whose members see it
    created_at: datetime
    versions: int  # how many there are
    latest: ModelVersion
    aliases: Mapping[str, int]  # alias -> number, `latest` included


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPage:
    """Some of a user's models, the newest first."""

    models: tuple[ModelRow, ...]
    total: int
    next_cursor: str | None  # None on the last page


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPage:
    """Some of a model's versions, the newest first."""

    versions: tuple[ModelVersion, ...]
    total: int
    next_cursor: str | None  # None on the last page


class ModelReader:
    """Safe to use from many threads. Every method raises StoreUnavailable where the database does not answer."""

    def __init__(self, engine: sa.Engine, sight: Sight | None = None) -> None:
        """`sight`: whose eyes look; None: all models."""
        self._engine, self._seen = engine, seen(sight, _models)

    def models(
        self, user: str, *, teams: Collection[str] = (), limit: int = 50, cursor: str | None = None
    ) -> ModelPage:
        """A user's models, and those of some teams.

        Raises InvalidInput for a damaged cursor or a limit outside 0 to 1000.
        """
        whose: list[sa.ColumnElement[bool]] = [_models.c.user == short_text(user, 255)]
        if teams:
            whose.append(_models.c.team.in_(sorted(teams)))
        mine = sa.and_(sa.or_(*whose), _HAS_VERSIONS, *self._seen)
        statement = sa.select(_models).where(mine).order_by(_models.c.id.desc()).limit(_limit(limit) + 1)
        if cursor is not None:
            statement = statement.where(_models.c.id < _place(cursor, MAX_BIG_INT))
        with store_errors(), self._engine.connect() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(_models).where(mine)).scalar_one()
            rows = connection.execute(statement).all()
            more, rows = len(rows) > limit > 0, rows[:limit]
            found = _model_rows(connection, rows)
        return ModelPage(models=tuple(found), total=total, next_cursor=str(rows[-1].id) if more else None)

    def model(self, user: str, name: str) -> ModelRow:
        """One model. Raises NotFound."""
        wanted = sa.select(_models).where(*self._named(user, name), _HAS_VERSIONS)
        with store_errors(), self._engine.connect() as connection:
            found = _model_rows(connection, connection.execute(wanted).all())
        if not found:
            raise model_not_found(name)
        return found[0]

    def versions(self, user: str, name: str, *, limit: int = 50, cursor: str | None = None) -> VersionPage:
        """A model's versions. Raises NotFound, and InvalidInput as `models` does."""
        statement = VERSION_ROW.where(*self._named(user, name)).order_by(_versions.c.version.desc())
        if cursor is not None:
            statement = statement.where(_versions.c.version < _place(cursor, MAX_VERSION))
        count = sa.select(sa.func.count()).select_from(_versions.join(_models)).where(*self._named(user, name))
        with store_errors(), self._engine.connect() as connection:
            total = connection.execute(count).scalar_one()
            rows = connection.execute(statement.limit(_limit(limit) + 1)).all()
            more, rows = len(rows) > limit > 0, rows[:limit]
            found = to_versions(connection, rows)
        if not total:
            raise model_not_found(name)
        return VersionPage(
            versions=tuple(found), total=total, next_cursor=str(found[-1].version) if more and found else None
        )

    def version(self, user: str, name: str, ref: str) -> ModelVersion:
        """One version by its number (`3`, `v3`) or an alias. Raises NotFound."""
        with store_errors(), self._engine.connect() as connection:
            rows = connection.execute(VERSION_ROW.where(*self._named(user, name), _pointed_at(ref))).all()
            found = to_versions(connection, rows)
            if not found:
                exists = connection.execute(VERSION_ROW.where(*self._named(user, name)).limit(1)).first()
                raise model_not_found(name) if exists is None else version_not_found(name, ref)
        return found[0]

    def _named(self, user: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
        return _models.c.user == short_text(user, 255), _models.c.name == clean_text(name), *self._seen

    def of_job(self, job_id: str) -> ModelVersion | None:
        """The version that a job made. `job_id` is one that exists."""
        with store_errors(), self._engine.connect() as connection:
            found = to_versions(connection, connection.execute(VERSION_ROW.where(_versions.c.job_id == job_id)).all())
        return found[0] if found else None


def _model_rows(connection: sa.Connection, rows: Sequence[Any]) -> list[ModelRow]:
    ids = [row.id for row in rows]
    counting = sa.select(_versions.c.model_id, sa.func.count(), sa.func.max(_versions.c.version))
    counts = {
        model_id: (count, latest)
        for model_id, count, latest in connection.execute(
            counting.where(_versions.c.model_id.in_(ids)).group_by(_versions.c.model_id)
        )
    }
    newest = sa.tuple_(_versions.c.model_id, _versions.c.version).in_(
        [(model_id, latest) for model_id, (_, latest) in counts.items()]
    )
    latest = {
        (version.user, version.model): version
        for version in to_versions(connection, _all(connection, VERSION_ROW.where(newest)))
    }
    aliases: dict[int, dict[str, int]] = {model_id: {LATEST: version} for model_id, (_, version) in counts.items()}
    for row in _all(connection, sa.select(_aliases).where(_aliases.c.model_id.in_(ids)).order_by(_aliases.c.alias)):
        aliases[row.model_id][row.alias] = row.version
    return [
        ModelRow(
            name=row.name,
            user=row.user,
            team=row.team,
            created_at=row.created_at,
            versions=counts[row.id][0],
            latest=latest[row.user, row.name],
            aliases=aliases[row.id],
        )
        for row in rows
    ]


def _all(connection: sa.Connection, statement: sa.Select[Any]) -> Sequence[Any]:
    return connection.execute(statement).all()


def _pointed_at(ref: str) -> sa.ColumnElement[bool]:
    number = number_of(ref)
    if number is not None:
        return sa.and_(_versions.c.version == min(number, MAX_VERSION))
    if ref.casefold() == LATEST:
        return sa.and_(_versions.c.version == LATEST_NUMBER)
    alias = sa.select(_aliases.c.version).where(
        _aliases.c.model_id == _models.c.id, _aliases.c.alias == clean_text(ref)
    )
    return sa.and_(_versions.c.version == alias.scalar_subquery())


def _limit(limit: int) -> int:
    if not 0 <= limit <= MAX_LIMIT:
        raise InvalidInput.field("limit", f"must be 0 to {MAX_LIMIT}")
    return limit


def _place(cursor: str, most: int) -> int:
    try:
        return min(max(int(cursor), 0), most)
    except ValueError:
        raise InvalidInput.field("cursor", "is damaged; start again without one") from None


_HAS_VERSIONS = sa.exists().where(_versions.c.model_id == _models.c.id)
