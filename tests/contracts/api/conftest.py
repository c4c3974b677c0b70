"""The API's platform on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.api import ApiPlatform, api_on


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A new database with our tables."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
async def platform(database_url: str, tmp_path: Path) -> AsyncIterator[ApiPlatform]:
    """A platform whose recorder remembers little, so that the database is needed often."""
    async with api_on(database_url, tmp_path, buffer_events=40, commit_rows=10) as platform:
        yield platform
