"""The one place that turns a database's exceptions into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from thornback.errors import StoreUnavailable

# What a mistake in our own statements raises; it must be seen, not retried.
_OURS = (exc.IntegrityError, exc.DataError, exc.ProgrammingError, exc.NotSupportedError)
_NO_TABLES = ("no such table", "no such column", "UndefinedTable", "UndefinedColumn")


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise StoreUnavailable, with the reason, where the database is away, locked, full or not set up."""
    try:
        yield
    except exc.DBAPIError as error:
        reason = f"{type(error.orig).__name__}: {str(error.orig).strip()}"
        if any(mark in reason for mark in _NO_TABLES):
            raise StoreUnavailable(
                f"the database is not up to date; run `thornback db upgrade` ({reason})", reason=reason
            ) from error
        if isinstance(error, _OURS):
            raise
        raise StoreUnavailable(f"the database cannot be used: {reason}", reason=reason) from error
    except exc.TimeoutError as error:  # no free connection in the pool
        raise StoreUnavailable(f"the database is busy: {error}", reason=str(error)) from error
