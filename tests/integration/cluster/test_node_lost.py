"""A machine dies in the middle of an epoch: the training goes on from its last checkpoint on what there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.cluster.machines import Machines, Told, job_when, steps_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS, EPOCHS, EVERY = 9, 50, 3  # of an epoch; of the run; between checkpoints


def test_a_lost_node_costs_the_steps_since_the_last_checkpoint_and_no_row(
    machines: Machines, config_of: Callable[..., dict[str, Any]]
) -> None:
    machines.add("second")
    client = machines.up()
    job = client.submit("loses a machine", config_of(epochs=EPOCHS, checkpoint_every_steps=EVERY))
    job = job_when(client, job.id, lambda job: job.current_epoch >= 3, "third epoch")

    machines.kill("second")
    # Nothing else has room: it waits in the queue, which says why, and holds nothing meanwhile.
    job = job_when(client, job.id, lambda job: job.status.value == "pending", "return to the queue")
    assert job.reason == "waiting for nodes to come back: needs 2 workers with 1 CPU each; the cluster has 1 CPU"
    reached = job.progress_percent
    assert reached > 0

    machines.add("third")
    job = job_when(client, job.id, lambda job: job.is_final, "end")
    told = Told.of(client, job.id)
    lost = told.restarts()[0]
    assert job.status.value == "completed"
    assert set(job.facts["nodes"]) == {machines.node_id(name)[:8] for name in ("first", "third")}
    assert list(steps_of(client, job.id)) == [(epoch, step) for epoch in range(1, EPOCHS + 1) for step in range(1, 10)]
    assert told.steps(STEPS) == list(range(1, STEPS * EPOCHS + 1))  # the stream has each row once as well
    assert max(told.before(lost).steps(STEPS)) - told.resumed()[-1] < 2 * EVERY  # the newest may not be whole yet
    assert lost.data["reason"] in ("node_lost", "worker_lost", "submit_failed")


def test_with_a_machine_to_spare_it_goes_on_without_the_queue(
    machines: Machines, config_of: Callable[..., dict[str, Any]]
) -> None:
    machines.add("second")
    client = machines.up()
    job = client.submit("has another", config_of(epochs=EPOCHS, checkpoint_every_steps=EVERY))
    job = job_when(client, job.id, lambda job: job.current_epoch >= 3, "third epoch")
    machines.add("spare")

    machines.kill("second")
    job = job_when(client, job.id, lambda job: job.is_final, "end")
    assert (job.status.value, job.attempt) == ("completed", 1)
    assert set(job.facts["nodes"]) == {machines.node_id(name)[:8] for name in ("first", "spare")}
    assert Told.of(client, job.id).steps(STEPS) == list(range(1, STEPS * EPOCHS + 1))
