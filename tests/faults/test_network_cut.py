"""The cable between two hosts is pulled, and plugged in again when the other one has been given up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
import ray

from tests.faults.far import FAR, SUPERSEDED
from tests.fixtures.network import Cable, other_host
from tests.fixtures.ray import OBJECT_STORE_BYTES, RayNode, running_ray
from tests.integration.dispatch.rig import Rig, eventually
from thornback.jobs.events import EventKind
from thornback.jobs.status import JobStatus

# Until a host that does not answer is given up: about 20 s instead of 65, for all hosts are as slow as this machine.
_HEALTH = {"PERIOD_MS": "1000", "TIMEOUT_MS": "4000", "FAILURE_THRESHOLD": "4", "INITIAL_DELAY_MS": "5000"}
PATIENCE_S = 300.0


@pytest.fixture
def cable() -> Iterator[Cable]:
    with other_host() as cable:
        yield cable


@pytest.fixture
def near(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayNode]:
    """Ray's head, here."""
    for name, value in _HEALTH.items():
        monkeypatch.setenv(f"RAY_health_check_{name.lower()}", value)
    with running_ray(cpus=2, ip=cable.here) as (node, _):
        yield node


class Far:
    """Ray on the other host."""

    def __init__(self, cable: Cable, near: RayNode) -> None:
        self._command = [
            *(*cable.inside, str(Path(sys.executable).parent / "ray"), "start", "--block", "--disable-usage-stats"),
            *(f"--address={near.address}", f"--node-ip-address={cable.there}", "--num-cpus=2"),
            *(f'--resources={{"{FAR}": 1}}', f"--object-store-memory={OBJECT_STORE_BYTES}"),
        ]
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """As the first time."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self.process

    def family(self, name: str = "") -> list[psutil.Process]:
        """Its processes."""
        found = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        return [process for process in found if name in process.name()]

    def close(self) -> None:
        """End it."""
        for process in self.family():
            process.kill()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def far(cable: Cable, near: RayNode) -> Iterator[Far]:
    far = Far(cable, near)
    yield far
    cable.plug()
    far.close()


@pytest.fixture
async def rig(near: RayNode, tmp_path: Path) -> AsyncIterator[Rig]:
    settings = near.settings(tmp_path / "home")
    rig = Rig(settings, dashboard=near.dashboard, entrypoints={"convnext": "tests.faults.far"}).start()
    yield rig
    await rig.stop()


def is_there() -> bool:
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return there.get(FAR) == 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_who_comes_back_after_being_given_up_writes_nothing(
    rig: Rig, far: Far, cable: Cable, tmp_path: Path
) -> None:
    await eventually(is_there, "the other host is there", within_s=PATIENCE_S)
    gate, superseded = tmp_path / "gate", tmp_path / SUPERSEDED
    job_id = await rig.create("over two hosts", epochs=1, tags={"gate": str(gate)})
    await eventually(lambda: len(rig.reader.metrics(job_id, level="step")) > 5, "rows come", within_s=PATIENCE_S)

    cable.pull()
    await eventually(lambda: not is_there(), "it was given up", within_s=PATIENCE_S)
    await eventually(lambda: 1 in restarts(rig, job_id), "the run goes on here", within_s=PATIENCE_S)
    # The worker there outlives the verdict on its host as long as its raylet does not hear of it.
    [raylet] = far.family("raylet")
    os.kill(raylet.pid, signal.SIGSTOP)
    workers = [process for process in far.family() if "ray::Worker" in " ".join(process.cmdline())]
    assert workers
    cable.plug()
    await eventually(
        lambda: superseded.exists() or not any(process.is_running() for process in workers),
        "it was told, or has ended",
        within_s=PATIENCE_S,
    )
    os.kill(raylet.pid, signal.SIGCONT)
    await eventually(lambda: far.process.poll() is not None, "the host that was given up leaves", within_s=PATIENCE_S)

    far.start()
    await eventually(is_there, "it is there anew", within_s=PATIENCE_S)
    gate.touch()
    job = await rig.until(job_id, lambda job: job.final, within_s=PATIENCE_S)

    assert job.final is JobStatus.COMPLETED, job.error_message
    spoke = restarts(rig, job_id)
    assert spoke == sorted(spoke)  # nothing of the first worker came after the second one had begun
    assert set(spoke) == {0, 1}
    rows = [(row.epoch, row.batch) for row in rig.reader.metrics(job_id, level="step", limit=100_000)]
    assert len(rows) == len(set(rows))
    await eventually(lambda: rig.all_free(4), "all is free", within_s=PATIENCE_S)
    print(
        f"\n{len(rows)} rows, {spoke.count(0)} of the first worker; told that it was superseded: {superseded.exists()}"
    )


def restarts(rig: Rig, job_id: str) -> list[int]:
    """Which restart has written each row, in the order of the log."""
    events = rig.reader.events(0, job_id=job_id, limit=100_000)
    return [int(event.data["epoch"]) for event in events if event.kind is EventKind.METRICS]
