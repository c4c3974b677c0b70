"""What the database is."""

from __future__ import annotations

import sqlalchemy as sa

from thornback.store.guard import store_errors


def database_version(engine: sa.Engine) -> str:
    """Its name and version, e.g. `PostgreSQL 16.4`. Raises StoreUnavailable."""
    is_sqlite = engine.dialect.name == "sqlite"
    with store_errors(), engine.connect() as connection:
        version = connection.exec_driver_sql("SELECT sqlite_version()" if is_sqlite else "SHOW server_version")
        return f"{'SQLite' if is_sqlite else 'PostgreSQL'} {version.scalar_one()}"


def schema_revision(engine: sa.Engine) -> str | None:
    """The revision of our tables; None where they were not made by migrations. Raises StoreUnavailable."""
    with store_errors(), engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
