"""Models, versions and aliases: what the writer does to them, inside its transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from thornback.errors import Conflict, InvalidInput, JobNotFound
from thornback.jobs.status import JobStatus
from thornback.jobs.versions import (
    MAX_NOTES,
    MAX_VERSION,
    ModelVersion,
    NewVersion,
    VersionInUse,
    VersionPlan,
    check_alias,
    check_model_name,
    model_not_found,
    version_not_found,
)
from thornback.store.admit import clean_json, clean_text, short_text
from thornback.store.cells import MAX_BIG_INT
from thornback.store.columns import canonical_id
from thornback.store.engine import dump_json
from thornback.store.tables import Model, ModelAlias, ModelVersionRow, TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]
_models = Model.__table__  # type: ignore[attr-defined]
_versions = ModelVersionRow.__table__  # type: ignore[attr-defined]
_aliases = ModelAlias.__table__  # type: ignore[attr-defined]

_FINAL = [status.value for status in JobStatus if status.is_final]
_IN_CHUNK = 500


def plan_version(connection: sa.Connection, *, user: str, model: str, job_id: str) -> VersionPlan:
    """What `register_version` would find. Raises as it does."""
    check_model_name(model)
    job = _living_job(connection, job_id)
    row = _model_row(connection, user, model)
    return VersionPlan(next=1 if row is None else row.newest + 1, version=_made_by(connection, job, user, model))


def register_version(connection: sa.Connection, new: NewVersion) -> VersionPlan:
    """Add a version where its number is the next one; else say which is, and add nothing.

    A job makes one version: where it has made it already, that one is the answer.

    Raises:
        InvalidInput: no name of a model, or figures that no file has.
        JobNotFound: the job has been deleted.
        Conflict: the job is being deleted, or is a version of another model.
    """
    plan = plan_version(connection, user=new.user, model=new.model, job_id=new.job_id)
    if plan.version is not None or plan.next != new.version:
        return plan
    if not 0 <= new.size_bytes <= MAX_BIG_INT or new.version > MAX_VERSION:
        raise InvalidInput.field("size_bytes", f"{new.size_bytes} is no size of a file")
    connection.execute(sa.insert(_versions).values(_new_row(new, _count_up(connection, new))))
    made = _made_by(connection, new.job_id, new.user, new.model)
    return VersionPlan(next=new.version + 1, version=made)


def set_alias(
    connection: sa.Connection, *, user: str, model: str, alias: str, version: int | None, by: str, at: datetime
) -> None:
    """Let an alias point at a version, or at none.

    Raises:
        InvalidInput: the alias cannot be set.
        NotFound: there is no such model or version.
        Conflict: the version's job is being deleted, and the version with it.
    """
    check_alias(alias)
    owner = _model_row(connection, user, model)
    if owner is None:
        raise model_not_found(model)
    here = sa.and_(_aliases.c.model_id == owner.id, _aliases.c.alias == alias)
    # what is deleted with a job is settled when its files go
    before = connection.execute(sa.select(_aliases.c.version).where(here)).scalar_one_or_none()
    for number in {before, version} - {None}:
        row = _version_row(connection, owner.id, number)
        if row is None:
            raise version_not_found(model, number or 0)
        _refuse_if_going(connection, row.job_id)
    connection.execute(sa.delete(_aliases).where(here))
    if version is not None:
        values = {"model_id": owner.id, "alias": alias, "version": version, "set_at": at, "set_by": short_text(by, 255)}
        connection.execute(sa.insert(_aliases).values(values))


def note_version(connection: sa.Connection, *, user: str, model: str, version: int, notes: str) -> None:
    """Replace a version's notes. Raises NotFound, and InvalidInput where they are too long."""
    if len(notes) > MAX_NOTES:
        raise InvalidInput.field("notes", f"has {len(notes)} characters; use at most {MAX_NOTES}")
    owner = _model_row(connection, user, model)
    if owner is None:
        raise model_not_found(model)
    if _version_row(connection, owner.id, version) is None:
        raise version_not_found(model, version)
    place = sa.and_(_versions.c.model_id == owner.id, _versions.c.version == version)
    connection.execute(sa.update(_versions).where(place).values(notes=clean_text(notes)))


def delete_version(connection: sa.Connection, *, user: str, model: str, version: int) -> bool:
    """Remove a version; its number is not given again. False for an unknown one.

    Raises:
        VersionInUse: an alias points at it, or a job that has not ended uses it.
    """
    owner = _model_row(connection, user, model)
    row = None if owner is None else _version_row(connection, owner.id, version)
    if row is None:
        return False
    names = _names(connection, [row])[row.model_id, row.version]
    if names:
        raise VersionInUse(
            f"version {version} of {model} is {', '.join(names)}; let the alias point elsewhere first", aliases=names
        )
    jobs = [*_unfinished(connection, [row.job_id]), *_naming(connection, row)]
    if jobs:
        raise VersionInUse(f"version {version} of {model} is used by job {jobs[0]}, which has not ended", jobs=jobs)
    _remove(connection, [row])
    return True


def delete_versions_of(connection: sa.Connection, job_id: str) -> None:
    """Remove the versions of a job that is being deleted, those in use excepted."""
    kept = {(row.model_id, row.version) for row in _kept(connection, job_id)}
    _remove(connection, [row for row in _of_job(connection, job_id) if (row.model_id, row.version) not in kept])


def read_kept_versions(connection: sa.Connection, job_id: str) -> tuple[ModelVersion, ...]:
    """The versions of a job that stay when it is deleted."""
    return tuple(to_versions(connection, _kept(connection, job_id)))


def to_versions(connection: sa.Connection, rows: Sequence[Any]) -> list[ModelVersion]:
    """Rows of `VERSION_ROW` with their aliases."""
    names = _names(connection, rows)
    return [_version(row, names[row.model_id, row.version]) for row in rows]


def _kept(connection: sa.Connection, job_id: str) -> list[Any]:
    rows = _of_job(connection, job_id)
    names = _names(connection, rows)
    return [row for row in rows if names[row.model_id, row.version] or _naming(connection, row)]


def _of_job(connection: sa.Connection, job_id: str) -> list[Any]:
    known = canonical_id(job_id)
    return [] if known is None else list(connection.execute(VERSION_ROW.where(_versions.c.job_id == known)))


def _naming(connection: sa.Connection, version: Any) -> list[str]:
    """Other jobs that have not ended and whose configuration names the file of a version."""
    statement = sa.select(_jobs.c.id, _jobs.c.config, _jobs.c.resume_from).where(
        _jobs.c.is_active, _jobs.c.status.not_in(_FINAL), _jobs.c.id != version.job_id
    )
    rows = connection.execute(statement.order_by(_jobs.c.id))
    return [row.id for row in rows if version.key in dump_json([row.config, row.resume_from])]


def _unfinished(connection: sa.Connection, job_ids: Sequence[str]) -> list[str]:
    statement = sa.select(_jobs.c.id).where(_jobs.c.id.in_(job_ids), _jobs.c.status.not_in(_FINAL))
    return list(connection.execute(statement).scalars())


def _living_job(connection: sa.Connection, job_id: str) -> str:
    known = canonical_id(job_id)
    if known is None or connection.execute(sa.select(_jobs.c.id).where(_jobs.c.id == known)).first() is None:
        raise JobNotFound(job_id)
    _refuse_if_going(connection, known)
    return known


def _refuse_if_going(connection: sa.Connection, job_id: str) -> None:
    going = sa.select(_jobs.c.id).where(_jobs.c.id == job_id, _jobs.c.delete_requested)
    if connection.execute(going).first() is not None:
        raise Conflict(f"job {job_id} is being deleted, and its version with it", job_id=job_id)


def _made_by(connection: sa.Connection, job_id: str, user: str, model: str) -> ModelVersion | None:
    rows = _of_job(connection, job_id)
    if not rows:
        return None
    found = to_versions(connection, rows)[0]
    if (found.user, found.model) != (short_text(user, 255), model):
        raise Conflict(
            f"job {job_id} is version {found.version} of model {found.model}; delete that one first",
            model=found.model,
            version=found.version,
        )
    return found


def _count_up(connection: sa.Connection, new: NewVersion) -> int:
    """The model's id, its newest number being the new one; the model is made with its first version."""
    row = _model_row(connection, new.user, new.model)
    if row is not None:
        connection.execute(sa.update(_models).where(_models.c.id == row.id).values(newest=new.version))
        return int(row.id)
    team = connection.execute(
        sa.select(_jobs.c.team).where(_jobs.c.id == canonical_id(new.job_id))
    ).scalar_one_or_none()
    values = {"user": short_text(new.user, 255), "name": new.model, "created_at": new.at, "newest": new.version}
    values |= {"team": team}
    made = connection.execute(sa.insert(_models).values(values).returning(_models.c.id))
    return int(made.scalar_one())


def _new_row(new: NewVersion, model_id: int) -> dict[str, Any]:
    return {
        "model_id": model_id,
        "version": new.version,
        "job_id": canonical_id(new.job_id),
        "key": clean_text(new.key),
        "size_bytes": new.size_bytes,
        "sha256": short_text(new.sha256, 64),
        "created_at": new.at,
        "config": clean_json(new.config),
        "lineage": clean_json(new.lineage),
        "notes": "",
    }


def _model_row(connection: sa.Connection, user: str, model: str) -> Any:
    return connection.execute(
        sa.select(_models).where(_models.c.user == short_text(user, 255), _models.c.name == clean_text(model))
    ).first()


def _version_row(connection: sa.Connection, model_id: int, version: int | None) -> Any:
    if version is None or not 0 < version <= MAX_VERSION:
        return None
    place = sa.and_(_versions.c.model_id == model_id, _versions.c.version == version)
    return connection.execute(VERSION_ROW.where(place)).first()


def _remove(connection: sa.Connection, rows: Iterable[Any]) -> None:
    for row in rows:
        for table in (_aliases, _versions):
            place = sa.and_(table.c.model_id == row.model_id, table.c.version == row.version)
            connection.execute(sa.delete(table).where(place))


def _names(connection: sa.Connection, rows: Sequence[Any]) -> Mapping[tuple[int, int], list[str]]:
    """The aliases of some versions, by name."""
    names: dict[tuple[int, int], list[str]] = {(row.model_id, row.version): [] for row in rows}
    model_ids = sorted({row.model_id for row in rows})
    for start in range(0, len(model_ids), _IN_CHUNK):
        wanted = _aliases.c.model_id.in_(model_ids[start : start + _IN_CHUNK])
        for row in connection.execute(sa.select(_aliases).where(wanted)):
            if (row.model_id, row.version) in names:
                names[row.model_id, row.version].append(row.alias)
    return names


def _version(row: Any, names: Iterable[str]) -> ModelVersion:
    return ModelVersion(
        model=row.name,
        user=row.user,
        version=row.version,
        job_id=row.job_id,
        key=row.key,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=row.created_at,
        config=row.config,
        lineage=row.lineage,
        notes=row.notes,
        aliases=tuple(sorted(names)),
        is_latest=row.version == row.latest,
    )


_all = _versions.alias()
LATEST_NUMBER = sa.select(sa.func.max(_all.c.version)).where(_all.c.model_id == _versions.c.model_id).scalar_subquery()
# A version with its model's name and owner, and the number that is the latest of that model.
VERSION_ROW = sa.select(_versions, _models.c.user, _models.c.name, LATEST_NUMBER.label("latest")).join(
    _models, _models.c.id == _versions.c.model_id
)
