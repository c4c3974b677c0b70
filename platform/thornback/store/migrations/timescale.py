"""`training_metrics` as a hypertable, where TimescaleDB (2.13 or newer) is installed in the database."""

from __future__ import annotations

import sqlalchemy as sa

INSTALLED = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
# The generalised interface. A week is Timescale's own default; its default index would be one that we
# do not use and that the models do not name.
CREATE = (
    "SELECT create_hypertable('training_metrics', by_range('timestamp', INTERVAL '7 days'), "
    "create_default_indexes => FALSE, if_not_exists => TRUE, migrate_data => TRUE)"
)


def make_hypertable(connection: sa.Connection) -> bool:
    """Convert the table. False, and nothing is done, where the extension is missing."""
    if connection.dialect.name != "postgresql" or connection.exec_driver_sql(INSTALLED).first() is None:
        return False
    connection.exec_driver_sql(CREATE)
    return True
