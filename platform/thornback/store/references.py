"""Which files rows speak of, and what becomes of those addresses when the storage has moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from thornback.store.engine import open_engine
from thornback.store.guard import store_errors
from thornback.store.state_codec import decode_state, encode_state
from thornback.store.tables import JobEventRow, JobItem, ModelVersionRow, TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]
_items = JobItem.__table__  # type: ignore[attr-defined]
_versions = ModelVersionRow.__table__  # type: ignore[attr-defined]
_events = JobEventRow.__table__  # type: ignore[attr-defined]

# Where addresses of files stand, as text or inside JSON.
_ADDRESSES = (
    *(_jobs.c[name] for name in ("checkpoint_path", "onnx_model_path", "resume_from", "state")),
    _items.c.uri,
    _events.c.data,
    *(_versions.c[name] for name in ("lineage", "config")),
)


def references(connection: sa.Connection) -> Iterator[str]:
    """Addresses of files, and keys below the storage. Files of jobs that are being deleted are on their way out."""
    for (state,) in connection.execute(sa.select(_jobs.c.state).where(_jobs.c.delete_requested.is_(False))):
        yield from (artifact.uri for artifact in decode_state(state).artifacts.values())
    living = sa.select(_jobs.c.id).where(_jobs.c.delete_requested.is_(False))
    of_items = sa.select(_items.c.uri).where(_items.c.uri.is_not(None), _items.c.job_id.in_(living))
    yield from connection.execute(of_items).scalars()
    yield from connection.execute(sa.select(_versions.c.key)).scalars()


@dataclass(frozen=True, slots=True)
class Move:
    """From one root of a storage to another; what S3 needs to know stands behind a `?` at the end of each address."""

    old: str
    new: str

    def __call__(self, value: Any) -> Any:
        """An address at its new place; what is none, as it is. Looks into lists and mappings."""
        if isinstance(value, str):
            return self._address(value)
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        return [self(item) for item in value] if isinstance(value, list) else value

    @property
    def root(self) -> str:
        """What every address begins with that is to be moved."""
        return self.old.partition("?")[0].rstrip("/") + "/"

    def _address(self, text: str) -> str:
        if not text.startswith(self.root):
            return text
        (_, _, old_query), (root, _, new_query) = self.old.partition("?"), self.new.partition("?")
        rest = text.removeprefix(self.root)
        if old_query:
            rest = rest.removesuffix(f"?{old_query}")
        return f"{root.rstrip('/')}/{rest}" + (f"?{new_query}" if new_query else "")


def move_storage(database_url: str, move: Move) -> None:
    """Change the addresses in all rows.

    Raises:
        StoreUnavailable: the database does not answer; nothing was changed.
    """
    engine = open_engine(database_url, writer=True)
    try:
        with store_errors(), engine.begin() as connection:
            for column in _ADDRESSES:
                _move_column(connection, column, move)
    finally:
        engine.dispose()


def forget_files(database_url: str, is_gone: Callable[[str], bool]) -> None:
    """Take files out of the rows of their jobs that are not there any more; the history keeps their events.

    Raises:
        StoreUnavailable: the database does not answer; nothing was changed.
    """
    engine = open_engine(database_url, writer=True)
    try:
        with store_errors(), engine.begin() as connection:
            for id, data in connection.execute(sa.select(_jobs.c.id, _jobs.c.state)).all():
                job = decode_state(data)
                kept = {name: artifact for name, artifact in job.artifacts.items() if not is_gone(artifact.uri)}
                if len(kept) < len(job.artifacts):
                    state = encode_state(replace(job, artifacts=kept))
                    connection.execute(sa.update(_jobs).where(_jobs.c.id == id).values(state=state))
            for column in (_jobs.c.checkpoint_path, _jobs.c.onnx_model_path, _items.c.uri):
                named = sa.select(column).where(column.is_not(None)).distinct()
                gone = [uri for uri in connection.execute(named).scalars().all() if is_gone(uri)]
                for uri in gone:
                    connection.execute(sa.update(column.table).where(column == uri).values({column.name: None}))
    finally:
        engine.dispose()


def _move_column(connection: sa.Connection, column: Any, move: Move) -> None:
    keys = list(column.table.primary_key.columns)
    about = sa.cast(column, sa.Text).contains(move.root, autoescape=True)
    for value, *key in connection.execute(sa.select(column, *keys).where(about)).all():
        this_row = sa.and_(*(of == at for of, at in zip(keys, key, strict=True)))
        connection.execute(sa.update(column.table).where(this_row).values({column.name: move(value)}))
