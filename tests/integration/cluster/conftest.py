"""What trainings on the cluster train on, and clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster.machines import Machines, running_machines
from tests.unit.train_jobs.helpers import make_tones, small_config


@pytest.fixture
def make_machines(tmp_path: Path) -> Iterator[Callable[..., Machines]]:
    """Clusters without nodes yet; takes what `Machines` takes."""
    with ExitStack() as stack:

        def make(**choices: Any) -> Machines:
            return stack.enter_context(running_machines(tmp_path / "home", **choices))

        yield make


@pytest.fixture
def machines(make_machines: Callable[..., Machines]) -> Machines:
    """A head that has nothing to give, and a worker node with one CPU."""
    machines = make_machines()
    machines.start_head()
    machines.add("first")
    return machines


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 short clips of three pitches: 36 to train on."""
    return make_tones(tmp_path_factory.mktemp("tones"), clips=16)


@pytest.fixture
def config_of(tones: Path) -> Callable[..., dict[str, Any]]:
    """A training over two workers with the smallest ConvNeXt; each row and each third checkpoint is seen."""

    def config(**changes: Any) -> dict[str, Any]:
        values = {"devices": 2, "batch_size": 2, "log_every_steps": 1, "checkpoint_every_steps": 3, **changes}
        return small_config(tones, **values).model_dump(mode="json")

    return config
