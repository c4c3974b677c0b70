"""The head dies and is started again over the same Redis: nobody has to do anything else.

Its database is on it, or a PostgreSQL elsewhere. `thornback up` is not called again: Ray brings the actors and
the API back. A client that follows a job the whole time misses nothing and sees nothing twice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster.machines import Machines, Told, job_when, steps_of, until
from tests.integration.cluster.redis import running_redis
from thornback.client import Backoff, Client
from thornback.client.models import Event
from thornback.errors import ThornbackError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="a second head on this machine needs processes of its own: root"),
]

STEPS, EPOCHS = 18, 16  # 36 clips, one worker with 2 at once


class Follower(threading.Thread):
    """A client that was there before the head died and follows a job to its end."""

    def __init__(self, url: str, job_id: str) -> None:
        super().__init__(name="follower", daemon=True)
        self.events: list[Event] = []
        self.lost = 0
        self._url, self._job_id = url, job_id
        self.start()

    def run(self) -> None:
        """Reconnects as every client does, with the id of the last event."""
        with Client(self._url, backoff=Backoff(give_up_after_s=None)) as client:
            self.events.extend(client.events(self._job_id, after=0, on_lost=self._count))

    def _count(self, error: ThornbackError, delay: float) -> None:
        self.lost += 1


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_after_a_restart_of_the_head_jobs_actors_and_streams_come_back(
    database: str,
    make_machines: Callable[..., Machines],
    config_of: Callable[..., dict[str, Any]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    settings = {"DATABASE_URL": request.getfixturevalue("postgres_url")} if database == "postgresql" else {}
    with running_redis(tmp_path / "redis") as redis:
        machines = make_machines(
            settings=settings,
            head_environment={"RAY_REDIS_ADDRESS": redis},
        )
        machines.start_head()
        machines.add("first")
        client = machines.up()
        running = client.submit("running", config_of(devices=1, epochs=EPOCHS))
        waiting = client.submit("waiting", config_of(devices=1, epochs=1))
        follower = Follower(client.url, running.id)
        job_when(client, running.id, lambda job: job.current_epoch >= 2, "second epoch")
        job_when(client, waiting.id, lambda job: job.status.value == "pending", "wait of the other")
        first = machines.node_id("first")

        machines.kill("head")
        until(lambda: not is_ready(client), "silence")
        machines.start_head()
        until(lambda: is_ready(client), "return of the platform")

        assert machines.node_id("first") == first  # the worker node went on as it was
        job = job_when(client, running.id, lambda job: job.is_final, "end of what ran")
        other = job_when(client, waiting.id, lambda job: job.is_final, "end of what waited")
        assert (job.status.value, other.status.value) == ("completed", "completed")
        assert (job.attempt, other.attempt) == (2, 1)
        assert list(steps_of(client, job.id)) == [
            (epoch, step) for epoch in range(1, EPOCHS + 1) for step in range(1, 19)
        ]
        assert job.facts["resumed_from_step"] > 0

        follower.join(120)
        assert not follower.is_alive()
        assert follower.lost > 0
        assert [event.id for event in follower.events] == [event.id for event in Told.of(client, job.id).events]
        assert Told(follower.events).steps(STEPS) == list(range(1, STEPS * EPOCHS + 1))


def is_ready(client: Client) -> bool:
    """True where the API has all that it needs."""
    try:
        return client.health().ready
    except ThornbackError:
        return False
