"""Column types that mean the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# PostgreSQL's `json` keeps the text as it came, NUL escapes and key order included.
Json = sa.JSON(none_as_null=True)
# Searchable JSON, as the source's table has it for `config`. It refuses NUL characters.
JsonB = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
# SQLite makes a column its row id only where the type is called INTEGER.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Uuid = sa.Uuid(as_uuid=False)
# Byte order on both engines, so that both sort names in the same way.
SortedText = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """Aware UTC times in and out; SQLite stores them without a zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """Any aware time, turned to UTC."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """The same instant, aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@lru_cache(maxsize=10_000)
def canonical_id(job_id: str) -> str | None:
    """A UUID in the form in which ids are kept, None where the text is no UUID."""
    try:
        return str(uuid.UUID(job_id))
    except (ValueError, AttributeError, TypeError):
        return None
