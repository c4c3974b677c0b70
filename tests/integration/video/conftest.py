from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.ray import RayNode
from tests.integration.dispatch.rig import Rig
from tests.integration.video.rig import ENTRIES
from thornback.media.sample_clip import write_sample_clip
from thornback.remote.actor import actor_name, start_trackers
from thornback.simulator.server import SimulatorServer

SCENES = 6


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds, six scenes."""
    path = tmp_path_factory.mktemp("clip") / "fish.mp4"
    write_sample_clip(path, scenes=SCENES)
    return path


MakeRig = Callable[..., Rig]


@pytest.fixture
async def make_rig(ray_node: RayNode, fast_simulator: SimulatorServer, tmp_path: Path) -> AsyncIterator[MakeRig]:
    """Starts one with both providers simulated; takes settings."""
    rigs: list[Rig] = []

    def make(**changes: Any) -> Rig:
        rigs.append(_start(ray_node, fast_simulator, tmp_path, changes))
        return rigs[-1]

    yield make
    for rig in rigs:
        for provider in ("replicate", "fal"):
            rig.end_actor(actor_name(provider))
        await rig.stop()


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """One with its storage in a folder."""
    return make_rig()


def _start(ray_node: RayNode, fast_simulator: SimulatorServer, tmp_path: Path, changes: Mapping[str, Any]) -> Rig:
    settings = ray_node.settings(
        tmp_path,
        replicate_url=fast_simulator.url,
        fal_url=fast_simulator.url,
        fetch_allow="127.0.0.1",
        replicate_api_token=fast_simulator.replicate_token,
        fal_key=fast_simulator.fal_key,
        **{"provider_settle_s": 0.2, **changes},
    )
    rig = Rig(settings, dashboard=ray_node.dashboard, entrypoints=ENTRIES).start()
    start_trackers(settings)
    return rig
