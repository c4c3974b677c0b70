"""The writers that share a database."""

from __future__ import annotations

from typing import ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from thornback.store.table import Table


class RecorderShardRow(Table, table=True):
    """One of several; there are no rows where one writer does it all. Whoever writes for it locks its row."""

    __tablename__: ClassVar[str] = "recorder_shards"

    number: int = Field(sa_column=sa.Column(sa.Integer, primary_key=True, autoincrement=False))
    count: int  # how many there are
    last_id: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))  # of the newest event that it has written
