from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.unit.remote.rig import QUICK, Rig, now
from thornback.providers.open import open_provider
from thornback.settings import Settings
from thornback.simulator.server import SimulatorServer

MakeRig = Callable[..., Awaitable[Rig]]


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    """A folder of pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(10):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / f"{number}.png")
    return str(folder)


@pytest.fixture
async def make_rig(
    fast_simulator: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeRig]:
    """Trackers over the official clients and real HTTP, nobody to take webhooks."""
    monkeypatch.setattr("thornback.providers.fal.LOOK_AGAIN_S", 0.1)  # half a minute otherwise
    rigs: list[Rig] = []

    async def make(name: str = "replicate", **choices: Any) -> Rig:
        keys = {"replicate_api_token": fast_simulator.replicate_token, "fal_key": fast_simulator.fal_key}
        urls = {"replicate_url": fast_simulator.url, "fal_url": fast_simulator.url}
        values: dict[str, Any] = {**keys, **urls, "provider_settle_s": 0.2, **choices}
        settings = Settings(home=tmp_path / name, **values)
        rig = Rig(tmp_path / name, provider=open_provider(name, settings, now), pace=QUICK, **values)
        rigs.append(rig)
        rig.start()
        return rig

    yield make
    for rig in rigs:
        await rig.close()
