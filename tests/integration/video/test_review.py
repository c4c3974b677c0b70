"""A review outlives its drivers: changes and the approval hold, whatever is killed around them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.dispatch.rig import Rig
from tests.integration.video.rig import PATIENCE_S, body, dataset_of, ended, post, version_of
from thornback.artifacts.files import join
from thornback.datasets.frame_folder import FrameFolder
from thornback.datasets.frame_set import FrameEdit
from thornback.jobs.events import EventFactory
from thornback.jobs.status import JobStatus
from thornback.jobs.wishes import Wish
from thornback.simulator.server import SimulatorServer

pytestmark = pytest.mark.timeout(600)


@pytest.mark.slow
async def test_killed_before_the_review_and_after_the_approval(
    rig: Rig, clip: Path, fast_simulator: SimulatorServer
) -> None:
    # Killed as the dataset is whole, parked, approved, killed as the order is placed: attempts 1, 2, 3 and 4.
    job_id = await post(rig, body(clip, review=True, tags={"kill": "60,61"}))
    waiting = await rig.until(job_id, lambda job: job.is_parked, within_s=PATIENCE_S)
    assert waiting.attempt == 3
    folder = FrameFolder(join(rig.settings.storage, "datasets", "ada", job_id))
    first, second, *rest = folder.read().kept
    folder.edit({first.id: FrameEdit(kept=False), second.id: FrameEdit(caption="TOK up close")}, revision=1)
    folder.approve(revision=2)
    await rig.recorder.record([EventFactory(job_id).asked(Wish.APPROVE, user="ada", at=datetime.now(UTC))])
    job = await ended(rig, job_id)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 4), job.error_message
    assert {frame.id for frame in dataset_of(rig, job_id).kept} == {second.id, *(frame.id for frame in rest)}
    captions = {frame.id: frame.caption for frame in dataset_of(rig, job_id).kept}
    assert captions[second.id] == "TOK up close"
    version = version_of(rig, job_id)
    assert version is not None
    assert version.config["frame_count"] == len(rest) + 1
    assert len(list(fast_simulator.orders)) == 1  # paid once
