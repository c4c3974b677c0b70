from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.remote.rig import Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A platform whose tracker runs; nobody can call it."""
    rig = Rig(tmp_path)
    rig.start()
    yield rig
    await rig.close()
