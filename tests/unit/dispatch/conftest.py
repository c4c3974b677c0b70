from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.dispatch.world import World


@pytest.fixture
async def make_world(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """Makes worlds; takes nodes and settings."""
    worlds: list[World] = []

    async def make(**choices: Any) -> World:
        worlds.append(World(tmp_path / f"home{len(worlds)}", **choices))
        return await worlds[-1].start()

    yield make
    for world in worlds:
        await world.close()


@pytest.fixture
async def world(make_world: Callable[..., Awaitable[World]]) -> World:
    """One node with 4 CPUs."""
    return await make_world()
