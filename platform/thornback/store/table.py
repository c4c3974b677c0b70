"""What all tables have in common, and the columns that they are made of."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from thornback.store.columns import Json, UtcDateTime

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA = sa.MetaData(naming_convention=NAMES)


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """Base of our tables, with its own metadata."""

    metadata: ClassVar[sa.MetaData] = METADATA


def text(length: int | None = None, *, nullable: bool = True) -> Any:
    """A text of at most `length` characters; None: of any length."""
    return Field(default=None, sa_type=sa.String(length) if length else sa.Text(), nullable=nullable)


def time(*, nullable: bool = True) -> Any:
    """An instant in UTC."""
    return Field(default=None, sa_type=UtcDateTime(), nullable=nullable)


def json(kind: Any = Json, *, nullable: bool = False) -> Any:
    """A JSON value."""
    return Field(default=None, sa_type=kind, nullable=nullable)


def of(kind: Any) -> Any:
    """A column of one of our own types, never null."""
    return Field(default=None, sa_type=kind, nullable=False)


def double() -> Any:
    """A number that may be unknown."""
    return Field(default=None, sa_type=sa.Double(), nullable=True)
