"""A spot machine is taken back: the training leaves it in time, with a checkpoint, and repeats no step."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.cluster.machines import Machines, Told, job_when
from thornback.jobs.events import EventKind

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS, EPOCHS, NOTICE_S = 9, 80, 240


def test_a_drained_node_is_left_with_a_checkpoint_before_its_deadline(
    machines: Machines, config_of: Callable[..., dict[str, Any]]
) -> None:
    machines.add("spot")
    client = machines.up()
    # No checkpoint inside an epoch but the one that the notice asks for.
    job = client.submit("on a spot machine", config_of(epochs=EPOCHS, checkpoint_every_steps=0))
    job = job_when(client, job.id, lambda job: job.current_epoch >= 3, "third epoch")
    spot, staying = (machines.node_id(name)[:8] for name in ("spot", "first"))
    assert set(job.facts["nodes"]) == {spot, staying}
    machines.add("spare")
    spare = machines.node_id("spare")[:8]

    deadline = time.time() + NOTICE_S
    machines.drain("spot", within_s=NOTICE_S)
    job = job_when(client, job.id, lambda job: set(job.facts["nodes"]) == {staying, spare}, "start elsewhere")
    assert time.time() < deadline
    machines.kill("spot")  # as announced

    job = job_when(client, job.id, lambda job: job.is_final, "end")
    told = Told.of(client, job.id)
    (moved,) = told.restarts()
    assert (job.status.value, job.attempt) == ("completed", 1)
    assert moved.data["reason"] == "moved"
    assert moved.data["message"].startswith(f"node {spot} is being drained")
    saved = [event for event in told.before(moved).events if event.kind is EventKind.ARTIFACT][-1]
    assert saved.at < datetime.fromtimestamp(deadline, UTC)
    # The checkpoint holds the very last step that was told; the next start goes on with the one after it.
    assert told.resumed() == [0, max(told.before(moved).steps(STEPS))]
    assert told.steps(STEPS) == list(range(1, STEPS * EPOCHS + 1))
    assert told.percents() == sorted(told.percents())
