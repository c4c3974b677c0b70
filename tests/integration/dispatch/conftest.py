"""Platforms of their own for each test, on the session's Ray."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.ray import RayNode
from tests.integration.dispatch.rig import Rig


@pytest.fixture
async def make_rig(ray_node: RayNode, tmp_path: Path) -> AsyncIterator[Callable[..., Rig]]:
    """Starts the two actors with a database in the test's own folder; takes settings."""
    rigs: list[Rig] = []

    def make(**settings: Any) -> Rig:
        home = tmp_path / f"home{len(rigs)}"
        rigs.append(Rig(ray_node.settings(home, **settings), dashboard=ray_node.dashboard).start())
        return rigs[-1]

    yield make
    for rig in rigs:
        await rig.stop()


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """One with the settings of tests."""
    return make_rig()
