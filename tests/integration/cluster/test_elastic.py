"""A job whose workers come and go with the machines: its batches, steps and epochs are those of its full width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.cluster.machines import Machines, Told, job_when, steps_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS, EPOCHS, EVERY = 6, 80, 3  # 36 clips in batches of 3 times 2


def test_an_elastic_job_grows_and_shrinks_and_stays_the_same_training(
    make_machines: Callable[..., Machines], config_of: Callable[..., dict[str, Any]]
) -> None:
    machines = make_machines(settings={"ELASTIC_PATIENCE_S": "3"})
    machines.start_head()
    machines.add("first")
    client = machines.up()
    config = config_of(epochs=EPOCHS, devices=3, min_devices=1, checkpoint_every_steps=EVERY)

    job = client.submit("elastic", config)
    job = job_when(client, job.id, lambda job: job.current_epoch >= 2, "second epoch")
    assert job.facts["workers"] == 1

    machines.add("second")
    job = job_when(client, job.id, lambda job: job.facts["workers"] == 2, "growth to two workers")
    epoch = job.current_epoch
    job = job_when(client, job.id, lambda job: job.current_epoch > epoch, "another epoch")

    machines.kill("second")
    job = job_when(client, job.id, lambda job: job.facts["workers"] == 1, "shrinking to one worker")
    job = job_when(client, job.id, lambda job: job.is_final, "end")

    told = Told.of(client, job.id)
    grown, shrunk = told.restarts()
    assert (job.status.value, job.attempt) == ("completed", 1)
    assert grown.data["message"] == "there is room for 2 workers instead of 1"
    assert told.resumed()[1] == max(told.before(grown).steps(STEPS))  # growing repeats nothing
    assert max(told.before(shrunk).steps(STEPS)) - told.resumed()[2] < 2 * EVERY
    assert told.steps(STEPS) == list(range(1, STEPS * EPOCHS + 1))
    assert job.total_epochs == job.current_epoch == EPOCHS

    undisturbed = client.submit("undisturbed", config)
    job_when(client, undisturbed.id, lambda job: job.is_final, "end of the undisturbed")
    wanted, found = steps_of(client, undisturbed.id), steps_of(client, job.id)
    assert found.keys() == wanted.keys()
    # Whose hands compute a part changes the order of sums and nothing else.
    early = [place for place in wanted if place[0] <= 10]
    assert [found[place] for place in early] == pytest.approx([wanted[place] for place in early], rel=0.02)
